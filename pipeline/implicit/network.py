"""A small network of random Fourier features as a terrain: the representation of the nedem project, in torch.

Tancik et al., Fourier features let networks learn high frequency functions, NeurIPS 2020. 128 features and eight
layers of 32 are 15,649 parameters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch

from orograph.pipeline.core.progress import tracked
from orograph.pipeline.errors import ConfigError, ModelError, NoTrainingPixels
from orograph.pipeline.implicit.fields import Jet
from orograph.pipeline.implicit.lattice import check_heights
from orograph.pipeline.implicit.splines import Float64Array

_CHUNK: Final = 1 << 16

FrameCallback = Callable[[int, "NetworkField"], None]
"""Receives the number of completed steps and the current surface."""


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Size of the network.

    Attributes:
        features: Random frequencies; each gives a sine and a cosine.
        scale: Standard deviation of the frequencies, cycles per unit square: larger means finer detail, and noise.
        hidden: Width of the layers.
        layers: Number of hidden layers.
    """

    features: int = 128
    scale: float = 10.0
    hidden: int = 32
    layers: int = 8

    def __post_init__(self) -> None:
        if min(self.features, self.hidden, self.layers) < 1 or not self.scale > 0:
            raise ConfigError(
                f"invalid network shape: {self}", remedy="features, hidden, layers and scale must be positive"
            )

    @property
    def parameters(self) -> int:
        """Number of trained parameters; the random frequencies follow from the seed."""
        first = 2 * self.features * self.hidden + self.hidden
        return first + (self.layers - 1) * (self.hidden**2 + self.hidden) + self.hidden + 1

    @classmethod
    def for_parameters(cls, parameters: int, scale: float = 10.0, layers: int = 8) -> NetworkShape:
        """The widest network of at most that many parameters, with four features per hidden unit (128 to 32)."""
        fitting = [s for h in range(2, 1025) if (s := cls(4 * h, scale, h, layers)).parameters <= parameters]
        if not fitting:
            raise ConfigError(f"{parameters} parameters are too few for {layers} layers", remedy="allow at least 200")
        return fitting[-1]


@dataclass(frozen=True, slots=True)
class Training:
    """Training options.

    Attributes:
        steps: Optimiser steps.
        batch: Pixels per step.
        learning_rate: Initial rate of Adam; decays linearly to a hundredth.
        seed: Seed of frequencies, weights and sampling.
        frames: Number of callback calls, evenly spaced over the steps.
    """

    steps: int = 2000
    batch: int = 16_384
    learning_rate: float = 3e-3
    seed: int = 0
    frames: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch) < 1 or not self.learning_rate > 0:
            raise ConfigError(
                f"invalid training options: {self}", remedy="steps, batch and learning rate must be positive"
            )


class FourierNet(torch.nn.Module):
    """Sines and cosines of random frequencies, then ReLU layers, then one height."""

    frequencies: torch.Tensor

    def __init__(self, shape: NetworkShape, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("frequencies", torch.randn(2, shape.features, generator=generator) * shape.scale)
        widths = [2 * shape.features, *[shape.hidden] * shape.layers]
        self.layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.last = torch.nn.Linear(shape.hidden, 1)
        with torch.no_grad():
            for layer in [*self.layers, self.last]:
                bound = math.sqrt(6.0 / layer.in_features)
                layer.weight.copy_((torch.rand(layer.weight.shape, generator=generator) * 2 - 1) * bound)
                layer.bias.zero_()
            self.last.weight.mul_(0.1)

    def forward(self, places: torch.Tensor) -> torch.Tensor:
        """Standardised heights (n,) at `places` (n, 2), rows then columns, 0 to 1."""
        phase = (2.0 * math.pi) * (places @ self.frequencies)
        x = torch.cat([phase.sin(), phase.cos()], dim=-1)
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.last(x)[..., 0]


@dataclass(frozen=True, slots=True, eq=False)
class NetworkField:
    """A trained network with the mean and spread of the heights it was trained on."""

    network: FourierNet
    shape: NetworkShape
    seed: int
    mean_m: float
    spread_m: float
    kind: str = field(default="mlp")

    @property
    def parameters(self) -> int:
        """Number of trained parameters."""
        return self.shape.parameters

    def height(self, v: Float64Array, u: Float64Array) -> Float64Array:
        """Heights at scattered points."""
        v, u = np.broadcast_arrays(v, u)
        places = torch.from_numpy(np.stack([v.ravel(), u.ravel()], axis=1).astype(np.float32))
        with torch.inference_mode():
            parts = [self.network(chunk) for chunk in torch.split(places, _CHUNK)]
        return torch.cat(parts).double().numpy().reshape(v.shape) * self.spread_m + self.mean_m

    def jet(self, v: Float64Array, u: Float64Array) -> Jet:
        """Heights and derivatives by automatic differentiation; ReLU has zero curvature except at its kinks."""
        v, u = np.broadcast_arrays(v, u)
        places = torch.from_numpy(np.stack([v.ravel(), u.ravel()], axis=1).astype(np.float32))
        parts = [self._derivatives(chunk) for chunk in torch.split(places, _CHUNK)]
        height, dv, du, dvv, dvu, duu = (
            torch.cat([part[k] for part in parts]).double().numpy().reshape(v.shape) * self.spread_m for k in range(6)
        )
        return Jet(height + self.mean_m, dv, du, dvv, dvu, duu)

    def _derivatives(self, places: torch.Tensor) -> tuple[torch.Tensor, ...]:
        places = places.clone().requires_grad_()
        height = self.network(places)
        first = torch.autograd.grad(height.sum(), places, create_graph=True)[0]
        second = [torch.autograd.grad(first[:, k].sum(), places, retain_graph=True)[0] for k in range(2)]
        parts = (height, first[:, 0], first[:, 1], second[0][:, 0], second[0][:, 1], second[1][:, 1])
        return tuple(part.detach() for part in parts)

    def grid(self, v: Float64Array, u: Float64Array) -> Float64Array:
        """Heights on a grid."""
        return self.height(v[:, None], u[None, :])


def train_network(
    heights_m: np.ndarray,
    shape: NetworkShape,
    training: Training,
    weights: np.ndarray | None = None,
    on_frame: FrameCallback | None = None,
) -> NetworkField:
    """Train a network on a raster's pixels.

    Args:
        heights_m: (rows, columns), metres; NaN is void and never sampled.
        shape: Size of the network.
        training: Steps, batch, seed.
        weights: (rows, columns), non-negative; pixels are drawn in proportion to them, so details of interest are
            seen more often.
        on_frame: Receives the surface `training.frames` times.

    Raises:
        NoTrainingPixels: no pixel with a height and a positive weight.
        ModelError: the training diverged.
    """
    check_heights(heights_m)
    usable = np.isfinite(heights_m) if weights is None else np.isfinite(heights_m) & (weights > 0)
    chosen = np.flatnonzero(usable)
    if not len(chosen):
        raise NoTrainingPixels("no pixel to train on: every height is void or has weight zero")
    values = heights_m.ravel()[chosen].astype(np.float64)
    mean, spread = float(values.mean()), max(float(values.std()), 1e-6)
    rows, cols = heights_m.shape
    places = np.stack([(chosen // cols + 0.5) / rows, (chosen % cols + 0.5) / cols], axis=1).astype(np.float32)
    cumulative = None if weights is None else np.cumsum(weights.ravel()[chosen].astype(np.float64))
    network = FourierNet(shape, training.seed)
    surface = NetworkField(network, shape, training.seed, mean, spread)
    data = torch.from_numpy(places), torch.from_numpy(((values - mean) / spread).astype(np.float32))
    _optimise(surface, data, training, cumulative, on_frame)
    return surface


def _optimise(
    surface: NetworkField,
    data: tuple[torch.Tensor, torch.Tensor],
    training: Training,
    cumulative: Float64Array | None,
    on_frame: FrameCallback | None,
) -> None:
    places, target = data
    rng = np.random.default_rng(training.seed)
    optimiser = torch.optim.Adam(surface.network.parameters(), lr=training.learning_rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, total_iters=training.steps)
    every = max(1, training.steps // training.frames) if training.frames else 0
    for step in tracked(range(training.steps), "fitting the network"):
        if on_frame is not None and every and step % every == 0:
            on_frame(step, surface)
        if cumulative is None:
            drawn = rng.integers(0, len(target), training.batch)
        else:
            drawn = np.searchsorted(cumulative, rng.random(training.batch) * cumulative[-1], side="right")
            drawn = np.minimum(drawn, len(target) - 1)
        index = torch.from_numpy(drawn)
        loss = (surface.network(places[index]) - target[index]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    if not all(bool(torch.isfinite(p).all()) for p in surface.network.parameters()):
        raise ModelError("the training diverged", remedy="lower the learning rate or the scale")
    if on_frame is not None and every:
        on_frame(training.steps, surface)
