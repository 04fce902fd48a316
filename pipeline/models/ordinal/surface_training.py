"""Training the bare-earth network on sites."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from pipeline.errors import ConfigError, ModelError, NoTrainingPixels
from pipeline.models.ordinal.discretise import Bins
from pipeline.models.ordinal.heads import OrdinalHead
from pipeline.models.ordinal.sites import Site, choose
from pipeline.models.ordinal.surface import STRIDE, SurfaceNet, SurfaceSpec, features
from pipeline.models.ordinal.surface_model import SurfaceModel

_MARGIN_PX: Final = 24
_CLIP: Final = 1.0
_DECAY: Final = 0.995
_OPEN_M: Final = 0.5


@dataclass(frozen=True, slots=True)
class SurfaceTraining:
    """How long and how.

    Attributes:
        steps: Optimiser steps.
        batch: Squares a step.
        crop_px: Side of a square, a multiple of 8; a margin of it only gives context.
        learning_rate: Of Adam, after a short warm-up, falling to zero as a cosine.
        seed: Of weights and sampling.
        open_weight: How much a pixel of open ground counts against one that is covered.
    """

    steps: int = 3000
    batch: int = 6
    crop_px: int = 192
    learning_rate: float = 2e-3
    seed: int = 0
    open_weight: float = 1.0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or not (self.learning_rate > 0 and self.open_weight > 0):
            raise ConfigError(f"a training of {self}", remedy="steps, batch and learning rate are positive")
        if self.crop_px % STRIDE or self.crop_px <= 2 * _MARGIN_PX:
            raise ConfigError(
                f"crops of {self.crop_px} px", remedy=f"use a multiple of {STRIDE} above {2 * _MARGIN_PX}"
            )


def train_surface(
    sites: Sequence[Site],
    spec: SurfaceSpec,
    training: SurfaceTraining,
    bins: Bins | None = None,
    name: str = "untitled",
    on_step: Callable[[int, float], None] | None = None,
    start: SurfaceModel | None = None,
) -> SurfaceModel:
    """Train a bare-earth model, from scratch or further from another.

    The model returned is the running average of the weights.

    Args:
        sites: Where squares are drawn from.
        spec: Inputs and size.
        training: Length and rates.
        bins: Height classes.
        name: Registry name.
        on_step: Told the step and the loss.
        start: A model of the same inputs and classes whose weights are the beginning.

    Raises:
        NoTrainingPixels: no sites.
        ConfigError: the beginning has other inputs or classes.
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
            raise ConfigError(f"{start.name} has other inputs or height classes", remedy="begin from one of the same")
        network.load_state_dict(start.network.state_dict())
    average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimiser = torch.optim.Adam(network.parameters(), lr=training.learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, training.steps))
    for step in range(training.steps):
        planes, target = _batch(sites, spec, training, rng)
        weight = 1.0 + (training.open_weight - 1.0) * (target < _OPEN_M).float()
        loss = head.loss(network(planes), target, weight)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimiser.step()
        schedule.step()
        keep = min(_DECAY, (1.0 + step) / (10.0 + step))
        for key, tensor in network.state_dict().items():
            average[key].lerp_(tensor, 1.0 - keep)
        if on_step is not None:
            on_step(step, float(loss.detach()))
    if not all(bool(torch.isfinite(tensor).all()) for tensor in average.values()):
        raise ModelError("the training diverged", remedy="lower the learning rate")
    network.load_state_dict(average)
    network.eval()
    return SurfaceModel(network, spec, bins, name)


def _rate(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / max(1, steps // 30))
    return warm * 0.5 * (1.0 + math.cos(math.pi * step / steps))


def _batch(
    sites: Sequence[Site], spec: SurfaceSpec, training: SurfaceTraining, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    planes, targets = [], []
    for _ in range(training.batch):
        site = choose(sites, rng)
        surface, above = site.draw(training.crop_px, rng)
        # A stretched horizon and stretched heights are other places at no cost.
        stretch = float(np.exp(rng.normal(0.0, 0.15)))
        planes.append(features(surface * stretch, site.pixel_size_m, spec))
        target = np.full_like(above, np.nan)
        inner = slice(_MARGIN_PX, -_MARGIN_PX)
        target[inner, inner] = above[inner, inner] * stretch
        targets.append(target)
    return torch.from_numpy(np.stack(planes)), torch.from_numpy(np.stack(targets))
