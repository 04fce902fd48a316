"""Trains the network that corrects a sensor's filter; deterministic by seed, with exact resumption."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from orograph.pipeline.core.progress import report as report_progress
from orograph.pipeline.core.torch_device import torch_device
from orograph.pipeline.errors import ConfigError, ModelError
from orograph.pipeline.learning.superres.sensor_examples import SIDE_PX, Examples
from orograph.pipeline.learning.superres.sensor_symmetry import SensorSymmetry
from orograph.pipeline.learning.superres.trained_weights import below
from orograph.pipeline.superres.sensor.net_range import FACTOR
from orograph.pipeline.superres.sensor.net_resolver import FORMAT
from orograph.pipeline.superres.sensor.network import SensorNet, SensorNetShape

_PATCH_PX: Final = 48
_JUDGED: Final = 0.4
"""Share of a patch that must count."""
_HOLD_EVERY: Final = 50
_ROBUST_UNTIL: Final = 0.7
"""Share of the steps after which robust errors give way to plain squares."""
_SLOPE_WEIGHT: Final = 0.5


@dataclass(frozen=True, slots=True)
class SensorPlan:
    """All options that determine the weights, apart from the examples.

    Attributes:
        network: Size.
        examples: Number of examples asked for.
        steps: Optimiser steps.
        batch: Patches per step.
        rate: Peak of the learning rate.
        seed: Seed of everything drawn.
        share: Share of the correction that is applied: real sensors have faults that no simulation has.
    """

    network: SensorNetShape = field(default_factory=SensorNetShape)
    examples: int = 700
    steps: int = 1200
    batch: int = 8
    rate: float = 2e-3
    seed: int = 1
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.examples < 1:
            raise ConfigError(
                f"steps {self.steps}, batch {self.batch}, examples {self.examples}", remedy="at least one of each"
            )

    def rate_at(self, step: int) -> float:
        """Learning rate at a step: a warm-up of 100 steps, then a cosine."""
        cosine = 0.5 * (1.0 + math.cos(math.pi * step / self.steps))
        return self.rate * min(1.0, (step + 1) / 100.0) * (0.01 + 0.99 * cosine)


class SensorTrainer:
    """State of a run: network, moving average, optimiser, step.

    Args:
        plan: Training plan.
        examples: Examples of `draw_examples`.
        folder: Where the checkpoint and the weights go; created if missing.
        device: Torch device.

    Raises:
        ConfigError: The device is not available.
    """

    def __init__(self, plan: SensorPlan, examples: Examples, folder: Path, device: str = "cpu") -> None:
        self.plan, self.examples, self.folder, self.device = plan, examples, folder, torch_device(device)
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(plan.seed)
        self.net = SensorNet(plan.network).to(self.device)
        self.symmetry = SensorSymmetry(self.net)
        self.average = SensorNet(plan.network).to(self.device)
        self.average.load_state_dict(self.net.state_dict())
        self.average.requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.net.parameters(), lr=plan.rate, betas=(0.9, 0.98), weight_decay=0.02)
        self.step = 0

    @property
    def checkpoint(self) -> Path:
        """Path of the run's state."""
        return self.folder / "checkpoint.safetensors"

    def resume(self) -> bool:
        """Continue from the checkpoint, if there is one.

        Raises:
            ConfigError: The checkpoint belongs to another plan.
        """
        if not self.checkpoint.exists():
            return False
        with safe_open(self.checkpoint, "pt") as handle:
            meta = json.loads((handle.metadata() or {}).get("sensor", "{}"))
            if meta.get("plan") != json.loads(json.dumps(asdict(self.plan))):
                raise ConfigError(f"{self.checkpoint} belongs to another plan", remedy="choose another folder")
            tensors = {key: handle.get_tensor(key) for key in handle.keys()}  # noqa: SIM118 - no mapping
        self.net.load_state_dict(below(tensors, "net."))
        self.average.load_state_dict(below(tensors, "average."))
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in below(tensors, "optimiser.").items():
            name, parameter = key.rsplit(".", 1)
            state.setdefault(int(parameter), {})[name] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        self.step = int(meta["step"])
        return True

    def save(self) -> None:
        """Write the checkpoint atomically."""
        tensors = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, entry in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{name}.{index}": tensor for name, tensor in entry.items()}
        part = self.checkpoint.with_suffix(".part")
        meta = {"sensor": json.dumps({"plan": asdict(self.plan), "step": self.step})}
        save_file({k: v.contiguous() for k, v in tensors.items()}, part, meta)
        part.replace(self.checkpoint)

    def run(
        self,
        report: Callable[[int, float, float], None] | None = None,
        every: int = 500,
        until: int | None = None,
    ) -> SensorNet:
        """Train to the plan's end (or `until`), with checkpoints, and return the averaged network.

        Args:
            report: Called at each checkpoint with the step and with squared errors of heights and of slopes over those
                of the filter.
            every: Steps between checkpoints.
            until: Step to stop at.

        Raises:
            ModelError: The loss became NaN.
        """
        window: list[tuple[float, float]] = []
        last = min(self.plan.steps, until or self.plan.steps)
        while self.step < last:
            window.append(self._one())
            report_progress("training", self.step, last)
            if self.step % every == 0 or self.step == last:
                self.symmetry.hold(self.average)
                self.save()
                if report is not None:
                    heights, slopes = np.mean(window, axis=0)
                    report(self.step, float(heights), float(slopes))
                window = []
        return self.average

    def _one(self) -> tuple[float, float]:
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate_at(self.step)
        batch = (torch.from_numpy(part).to(self.device) for part in self._drawn())
        loss, heights, slopes = pair_loss(self.net, *batch, robust=self.step < _ROBUST_UNTIL * self.plan.steps)
        if not math.isfinite(heights):
            raise ModelError(f"the loss is {heights} at step {self.step}", remedy="lower the learning rate")
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.symmetry.guide(self.net)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        if self.step % _HOLD_EVERY == 0:
            self.symmetry.hold(self.net)
        kept = min(0.997, (1.0 + self.step) / (10.0 + self.step))
        with torch.no_grad():
            for mine, theirs in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mine.lerp_(theirs, 1.0 - kept)
        self.step += 1
        return heights, slopes

    def _drawn(self) -> Sequence[np.ndarray[Any, np.dtype[Any]]]:
        """This step's patches of planes, errors, residuals and judged pixels."""
        rng, examples = np.random.default_rng((self.plan.seed, self.step)), self.examples
        parts: list[tuple[np.ndarray[Any, np.dtype[Any]], ...]] = []
        while len(parts) < self.plan.batch:
            index = int(rng.integers(len(examples.judged)))
            row, column = (int(start) for start in rng.integers(0, SIDE_PX - _PATCH_PX + 1, 2))
            here = (index, ..., slice(row, row + _PATCH_PX), slice(column, column + _PATCH_PX))
            # Sites smaller than an example would otherwise be drawn for long.
            if examples.judged[here].mean() < _JUDGED * min(1.0, 2.0 * examples.judged[index].mean()):
                continue
            parts.append(
                (
                    examples.planes[here].astype(np.float32),
                    examples.error_m[here][None],
                    examples.residual[here].astype(np.float32),
                    examples.judged[here][None].astype(np.float32),
                )
            )
        return [np.stack(part) for part in zip(*parts, strict=True)]

    def export(self, path: Path, about: dict[str, Any]) -> str:
        """Write the averaged weights with their description; returns the file's sha256."""
        self.symmetry.hold(self.average)
        tensors = {name: tensor.half().cpu().contiguous() for name, tensor in self.average.state_dict().items()}
        record = {"plan": json.dumps({"factor": FACTOR} | asdict(self.plan)), "about": json.dumps(about)}
        save_file(tensors, path, record | {"format": FORMAT})
        return hashlib.sha256(path.read_bytes()).hexdigest()


def pair_loss(
    net: SensorNet, planes: Tensor, error_m: Tensor, residual: Tensor, judged: Tensor, *, robust: bool
) -> tuple[Tensor, float, float]:
    """Loss of a batch, and its squared errors of heights and of slopes over those of the filter.

    Args:
        net: The network.
        planes: Its input.
        error_m: The filter's error, shape (batch, 1, rows, columns).
        residual: Terrain less filtered heights in units of that error, by phase.
        judged: One where pixels count, else zero, shape (batch, 1, rows, columns).
        robust: Whether large errors count linearly.
    """
    r = net.shape.radius_px
    inner = (slice(None), slice(None), slice(r, -r), slice(r, -r))
    error_m, residual = error_m[inner], residual[inner]
    counts = F.interpolate(judged[inner], scale_factor=FACTOR, mode="nearest")
    error = F.pixel_shuffle((net(planes) - residual) * error_m, FACTOR)
    before = F.pixel_shuffle(-residual * error_m, FACTOR)
    relative = error.square() / _mean(before.square(), counts).clamp_min(1e-4)[:, None, None, None]
    shown = 2.0 * (torch.sqrt(1.0 + relative) - 1.0) if robust else relative
    both = counts[:, :, 1:, 1:] * counts[:, :, :-1, :-1]
    slopes = _mean(_steps(error), both) / _mean(_steps(before), both).clamp_min(1e-5)
    loss = _mean(shown, counts).mean() + _SLOPE_WEIGHT * slopes.mean()
    return loss, float(_mean(relative, counts).mean().detach()), float(slopes.mean().detach())


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean over the pixels that count, by sample."""
    return (values * counts).sum(dim=(1, 2, 3)) / counts.sum(dim=(1, 2, 3)).clamp_min(1.0)


def _steps(heights: Tensor) -> Tensor:
    """Squared differences between neighbours along both axes."""
    here = heights[:, :, 1:, 1:]
    return (here - heights[:, :, :-1, 1:]).square() + (here - heights[:, :, 1:, :-1]).square()
