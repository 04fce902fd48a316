"""Learning from larger networks: most of what interpolation misses is chance, and a teacher has it averaged away.

Of the squared error a base leaves, four fifths are not told by coarse samples. As a target that is noise, which few
square kilometres let a network learn by heart; a trained network's answer to the same samples holds little of it. A
teacher sees every batch turned or mirrored at random, so a student learns what the mean over all eight would be.

On its own training ground a teacher repeats what it has learnt by heart. So a share of the batches may be `Sampler.unseen`: ground
at its own pixels, taken for coarse samples, where all a teacher can give is what it has understood.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, body_dtype
from orograph.pipeline.errors import SourceMissing
from orograph.pipeline.learning.superres.dataset import Batch
from orograph.pipeline.superres.network import TerrainNet


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """Trained networks whose mean answer a student learns, beside the truth.

    Attributes:
        networks: Of the student's factor.
        share: Part of the answer in what the student aims at; the rest is the truth.
        seed: Seed of how batches are turned.
        precision: Of their bodies.
    """

    networks: tuple[TerrainNet, ...]
    share: float
    seed: int
    precision: Precision = DEFAULT_PRECISION

    def aim(self, batch: Batch, step: int) -> Tensor:
        """What a student of this batch aims at, shape of `batch.fine`."""
        answer = self.answer(batch, step)
        return torch.from_numpy(batch.fine).to(answer.device).lerp(answer, self.share)

    def answer(self, batch: Batch, step: int) -> Tensor:
        """What the teachers make of the coarse heights, shape of `batch.fine`."""
        device = self.networks[0].head.device
        coarse = torch.from_numpy(batch.coarse).to(device)
        noise_m = None if batch.noise_m is None else torch.from_numpy(batch.noise_m).to(device)
        rng = np.random.default_rng((self.seed, step, len(self.networks)))
        # A right angle exchanges tall and wide pixels.
        turns = int(rng.integers(4)) if batch.condition.log_aspect == 0.0 else 2 * int(rng.integers(2))
        mirrored = bool(rng.integers(2))
        seen = turned(coarse, turns, mirrored)
        dtype = body_dtype(self.precision, str(device))
        with torch.no_grad():
            said = torch.stack([net(seen, batch.condition, noise_m, dtype) for net in self.networks]).mean(dim=0)
        return turned_back(said, turns, mirrored)


def turned(planes: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Planes turned by so many right angles, then mirrored."""
    out = torch.rot90(planes, turns, dims=(-2, -1))
    return out.flip(-1) if mirrored else out


def turned_back(planes: Tensor, turns: int, mirrored: bool) -> Tensor:
    """What undoes `turned`."""
    return torch.rot90(planes.flip(-1) if mirrored else planes, -turns, dims=(-2, -1))


def digest_of(weights: Sequence[Path]) -> str:
    """What a plan says of its teachers: the sha256 of each file, joined by a plus.

    Raises:
        SourceMissing: There is no such file.
    """
    lacking = [path for path in weights if not path.is_file()]
    if lacking:
        raise SourceMissing(f"no weights at {lacking[0]}", source=str(lacking[0]))
    return "+".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in weights)
