"""Trains the bare-earth network on sites."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.model import SurfaceModel
from orograph.pipeline.bare_earth.network import STRIDE, SurfaceNet, SurfaceSpec, features
from orograph.pipeline.bare_earth.ordinal_head import OrdinalHead
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, autocast, check_trainable
from orograph.pipeline.core.progress import report as report_progress
from orograph.pipeline.errors import ConfigError, ForeignModel, ModelError, NoTrainingPixels
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite, choose

_CLIP: Final = 1.0
_DECAY: Final = 0.995
_OPEN_M: Final = 0.5
_KEEP_EVERY: Final = 100


@dataclass(frozen=True, slots=True)
class SurfaceTraining:
    """Training options.

    Attributes:
        steps: Optimiser steps.
        batch: Squares per step.
        crop_px: Side of a square, a multiple of 8.
        margin_px: Width of the context border, excluded from the loss.
        learning_rate: Peak rate of Adam, after a short warm-up; cosine decay to zero.
        seed: Seed of weights and sampling.
        open_weight: Weight of a pixel of open terrain relative to a covered one.
        cover_rate: Fraction of samples with a land-cover map, so that the network also works without one.
        precision: Precision of the convolutions, `fp32` or `bf16`.
    """

    steps: int = 3000
    batch: int = 6
    crop_px: int = 192
    learning_rate: float = 2e-3
    seed: int = 0
    open_weight: float = 1.0
    cover_rate: float = 0.5
    precision: Precision = DEFAULT_PRECISION
    margin_px: int = 24

    def __post_init__(self) -> None:
        check_trainable(self.precision)
        if min(self.steps, self.batch) < 1 or not (self.learning_rate > 0 and self.open_weight > 0):
            raise ConfigError(
                f"invalid training options: {self}", remedy="steps, batch and learning rate must be positive"
            )
        if self.crop_px % STRIDE or self.crop_px <= 2 * self.margin_px:
            raise ConfigError(
                f"invalid crop size: {self.crop_px} px", remedy=f"use a multiple of {STRIDE} above {2 * self.margin_px}"
            )


def train_surface(
    sites: Sequence[SurfaceSite],
    spec: SurfaceSpec,
    training: SurfaceTraining,
    *,
    bins: Bins | None = None,
    name: str = "untitled",
    on_step: Callable[[int, float], None] | None = None,
    start: SurfaceModel | None = None,
    checkpoint: Path | None = None,
) -> SurfaceModel:
    """Train a bare-earth model, from scratch or from another model.

    The result has the running average of the weights.

    Args:
        sites: Sites that squares are drawn from.
        spec: Inputs and size.
        training: Length and rates.
        bins: Height classes.
        name: Registry name.
        on_step: Receives the step and the loss.
        start: A model of the same inputs and classes that supplies the initial weights.
        checkpoint: File for the state, written every 100 steps; a training with the same options resumes from it.

    Raises:
        NoTrainingPixels: no sites.
        ConfigError: `start` has other inputs or classes.
        ForeignModel: the checkpoint is of another training.
        ModelError: the training diverged.
    """
    if not sites:
        raise NoTrainingPixels("no site to train on")
    bins = bins or Bins()
    torch.manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    head = OrdinalHead(bins)
    network = SurfaceNet(spec, head.channels)
    if start is not None:
        if (start.spec, start.bins) != (spec, bins):
            raise ConfigError(
                f"{start.name} has other inputs or height classes",
                remedy="start from a model with the same inputs and classes",
            )
        network.load_state_dict(start.network.state_dict())
    # Channels-last halves the time per step.
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimiser = torch.optim.Adam(network.parameters(), lr=training.learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, training.steps))
    state = _TrainingState(network, average, optimiser, schedule, rng, repr((spec, training, bins)))
    for step in range(state.resumed(checkpoint), training.steps):
        planes, target = _batch(sites, spec, training, rng)
        weight = 1.0 + (training.open_weight - 1.0) * (target < _OPEN_M).float()
        with autocast(training.precision):
            outputs = network(planes.to(memory_format=torch.channels_last))
        loss = head.loss(outputs.float(), target, weight)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimiser.step()
        schedule.step()
        keep = min(_DECAY, (1.0 + step) / (10.0 + step))
        for key, tensor in network.state_dict().items():
            average[key].lerp_(tensor, 1.0 - keep)
        if checkpoint is not None and (step + 1) % _KEEP_EVERY == 0:
            state.keep(checkpoint, step + 1)
        report_progress("training", step + 1, training.steps)
        if on_step is not None:
            on_step(step, float(loss.detach()))
    if not all(bool(torch.isfinite(tensor).all()) for tensor in average.values()):
        raise ModelError("the training diverged", remedy="lower the learning rate")
    network.load_state_dict(average)
    network.eval()
    return SurfaceModel(network.to(memory_format=torch.contiguous_format), spec, bins, name)  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True, eq=False)
class _TrainingState:
    """The complete state of a training, stored in one file."""

    network: SurfaceNet
    average: dict[str, torch.Tensor]
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    rng: np.random.Generator
    settings: str

    def keep(self, path: Path, step: int) -> None:
        document = {
            "settings": self.settings,
            "step": step,
            "rng": json.dumps(self.rng.bit_generator.state),
            "average": self.average,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }
        part = path.with_suffix(".part")
        torch.save(document, part)
        part.replace(path)

    def resumed(self, path: Path | None) -> int:
        """Number of completed steps; 0 without a file."""
        if path is None or not path.is_file():
            return 0
        try:
            document = torch.load(path, weights_only=True)
            if document["settings"] != self.settings:
                raise ForeignModel(f"{path.name} was written by a training with other options", remedy="remove it")
            self.network.load_state_dict(document["network"])
            self.optimiser.load_state_dict(document["optimiser"])
            self.schedule.load_state_dict(document["schedule"])
            self.average.update(document["average"])
            self.rng.bit_generator.state = json.loads(document["rng"])
            return int(document["step"])
        except (KeyError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
            raise ForeignModel(f"{path.name} is not a training checkpoint: {error!r}", remedy="remove it") from error


def _rate(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / max(1, steps // 30))
    return warm * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def _batch(
    sites: Sequence[SurfaceSite], spec: SurfaceSpec, training: SurfaceTraining, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    planes, targets = [], []
    for _ in range(training.batch):
        site = choose(sites, rng)
        surface, above, shares = site.draw(training.crop_px, rng)
        # Scaled horizontal and vertical axes act as free additional sites.
        stretch = float(np.exp(rng.normal(0.0, 0.15)))
        shares = shares if rng.random() < training.cover_rate else None
        planes.append(features(surface * stretch, site.pixel_size_m, spec, shares))
        target = np.full_like(above, np.nan)
        inner = slice(training.margin_px, training.crop_px - training.margin_px)
        target[inner, inner] = above[inner, inner] * stretch
        targets.append(target)
    return torch.from_numpy(np.stack(planes)), torch.from_numpy(np.stack(targets))
