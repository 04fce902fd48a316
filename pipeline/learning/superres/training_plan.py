"""All options that determine the weights of a super-resolution network, apart from the data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, check_trainable
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.dataset import Mix
from orograph.pipeline.superres.network import PRESETS


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """All options that determine the weights, apart from the data.

    Attributes:
        preset: Size of the network: XS, S, M or L.
        factor: Fine pixels along a coarse pixel's side.
        steps: Optimiser steps.
        batch: Patches per step.
        patch_px: Side of a patch in coarse pixels.
        margin_px: Coarse pixels at a patch's rim excluded from the loss: their context is padding.
        rate: Peak of the learning rate, reached over `warmup` steps.
        decay_from: Share of the steps at which a cosine down to a hundredth of the peak begins. Other runs may start
            from a long run at the peak rate and only decay (`warmup` and `decay_from` small).
        average: Decay of the exponential moving average of the weights, which is saved.
        roughness_power: A patch's squared errors are divided by its base RMSE to this power.
        plain_from: Share of the steps after which robust errors give way to plain squares.
        mix: Shares of modes, noise and footprints.
        seed: Seed of everything drawn.
        precision: Of the body, `fp32`, `tf32` or `bf16`; validation uses the same.
        taught: Share of a teacher's output in the target; the rest is the truth.
        teacher: sha256 of the teachers' weights, joined by a plus; empty without one.
        unseen: Share of batches without fine truth, learnt from the teacher only; see `Sampler.unseen`.
        symmetric: Whether the network is rotation-equivariant; see `symmetry.py`.
    """

    preset: str = "S"
    factor: int = 3
    steps: int = 20_000
    batch: int = 7
    patch_px: int = 48
    margin_px: int = 8
    rate: float = 2e-3
    warmup: int = 200
    decay_from: float = 0.0
    average: float = 0.995
    roughness_power: float = 1.3
    plain_from: float = 0.75
    mix: Mix = field(default_factory=Mix)
    seed: int = 1
    precision: Precision = DEFAULT_PRECISION
    taught: float = 0.0
    teacher: str = ""
    unseen: float = 0.0
    symmetric: bool = True

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"no preset is called {self.preset!r}", remedy=f"one of: {', '.join(PRESETS)}")
        if self.steps < 0 or self.batch < 1 or not 0 <= 2 * self.margin_px < self.patch_px:
            raise ConfigError(f"steps {self.steps}, batch {self.batch}, margin {self.margin_px} px")
        check_trainable(self.precision)
        if not 0 <= self.unseen <= 1 or (self.unseen > 0 and not self.teacher):
            raise ConfigError(f"a share of {self.unseen} without a truth", remedy="name a teacher that answers there")
        if not 0 <= self.taught <= 1 or (self.taught > 0) != bool(self.teacher):
            raise ConfigError(f"a share of {self.taught} for the teacher {self.teacher or 'none'}")

    def rate_at(self, step: int) -> float:
        """Learning rate at a step."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        begin = max(self.warmup, self.decay_from * self.steps)
        progress = max(0.0, step - begin) / max(1.0, self.steps - begin)
        return self.rate * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress))))

    def record(self) -> dict[str, Any]:
        """Return the plan stored with weights; it includes the network's shape, because presets may change."""
        return asdict(self) | {"network": asdict(PRESETS[self.preset])}
