"""Knowledge distillation: a student learns from larger networks, whose output contains less noise than the truth.

Coarse samples do not determine four fifths of the squared error of the base. In the target this part is noise, which a
network memorises when it trains on few square kilometres; the output of a trained network contains little of it. A
teacher sees every batch rotated or mirrored at random, so a student learns the mean over all eight symmetries.

On its own training terrain a teacher reproduces memorised noise. So a share of the batches may be `Sampler.unseen`:
native pixels taken as coarse samples, which a teacher cannot have memorised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.errors import SourceMissing
from orograph.pipeline.learning.superres.dataset import Batch
from orograph.pipeline.superres.network import TerrainNet


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """Trained networks whose mean output a student learns in addition to the truth.

    Attributes:
        networks: Networks with the student's factor.
        share: Share of the output in the student's target; the rest is the truth.
        seed: Seed of the rotations of batches.
        precision: Precision of their bodies.
    """

    networks: tuple[TerrainNet, ...]
    share: float
    seed: int
    precision: Precision = DEFAULT_PRECISION

    def aim(self, batch: Batch, step: int) -> Tensor:
        """Return the student's target for this batch, shape of `batch.fine`."""
        answer = self.answer(batch, step)
        return torch.from_numpy(batch.fine).to(answer.device).lerp(answer, self.share)

    def answer(self, batch: Batch, step: int) -> Tensor:
        """Return the teachers' output for the coarse heights, shape of `batch.fine`."""
        device = self.networks[0].head.device
        coarse = torch.from_numpy(batch.coarse).to(device)
        noise_m = None if batch.noise_m is None else torch.from_numpy(batch.noise_m).to(device)
        rng = np.random.default_rng((self.seed, step, len(self.networks)))
        # A right angle exchanges tall and wide pixels.
        turns = int(rng.integers(4)) if batch.condition.log_aspect == 0.0 else 2 * int(rng.integers(2))
        mirrored = bool(rng.integers(2))
        seen = turned(coarse, turns, mirrored)
        with torch.no_grad():
            answers = [net(seen, batch.condition, noise_m, self.precision) for net in self.networks]
            said = torch.stack(answers).mean(dim=0)
        return turned_back(said, turns, mirrored)


def turned(planes: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Rotate planes by `turns` right angles, then mirror them if `mirrored`."""
    out = torch.rot90(planes, turns, dims=(-2, -1))
    return out.flip(-1) if mirrored else out


def turned_back(planes: Tensor, turns: int, mirrored: bool) -> Tensor:
    """Return the inverse of `turned`."""
    return torch.rot90(planes.flip(-1) if mirrored else planes, -turns, dims=(-2, -1))


def digest_of(weights: Sequence[Path]) -> str:
    """Return a plan's identifier of its teachers: the sha256 of each file, joined by a plus.

    Raises:
        SourceMissing: A file does not exist.
    """
    absent = [path for path in weights if not path.is_file()]
    if absent:
        raise SourceMissing(f"weights {absent[0]} do not exist", source=str(absent[0]))
    return "+".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in weights)
