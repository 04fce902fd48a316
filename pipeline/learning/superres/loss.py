"""Loss of a batch relative to the interpolant, as a module that shares gradients between processes."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from orograph.pipeline.learning.superres.data_parallel import DataParallel
from orograph.pipeline.learning.superres.dataset import Batch
from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.superres.network import TerrainNet

ALONE: Final = DataParallel()


def pair_loss(
    net: TerrainNet,
    batch: Batch,
    plan: TrainingPlan,
    plain: bool,
    parallel: DataParallel = ALONE,
    aim: Tensor | None = None,
) -> tuple[Tensor, float]:
    """Weighted error of a batch relative to the base's, and the same for plain squares without gradient.

    The error is relative to `aim` (the truth when None); the value without gradient is always relative to the truth.
    If several processes share a batch, the means over the processes are those of the whole batch.
    """
    device = net.head.device
    coarse, fine = torch.from_numpy(batch.coarse).to(device), torch.from_numpy(batch.fine).to(device)
    noise_m = None if batch.noise_m is None else torch.from_numpy(batch.noise_m).to(device)
    base = net.base(coarse, batch.condition)
    features = net.features(coarse, noise_m, batch.condition, plan.precision)
    predicted = F.pixel_shuffle(base + net.correction(features, batch.condition, plan.precision), plan.factor)
    rim = plan.margin_px * plan.factor
    inner = (slice(None), slice(None), slice(rim, -rim or None), slice(rim, -rim or None))
    counts = torch.from_numpy(batch.valid).to(device)[inner].float()
    total = counts.sum(dim=(1, 2, 3)).clamp_min(1.0)
    error = (predicted - (fine if aim is None else aim))[inner]
    base_square = (((F.pixel_shuffle(base, plan.factor) - fine)[inner].square() * counts).sum(dim=(1, 2, 3))) / total
    scale = base_square.clamp_min(1e-6)
    square = error.square()
    missed = square.detach() if aim is None else (predicted.detach() - fine)[inner].square()
    relative = parallel.mean((missed * counts).sum()) / parallel.mean((base_square * total).sum()).clamp_min(1e-9)
    if not plain:
        ratio = square / scale[:, None, None, None]
        square = 2.0 * scale[:, None, None, None] * (torch.sqrt(1.0 + ratio) - 1.0)
    per_patch = (square * counts).sum(dim=(1, 2, 3)) / total
    weight = scale ** (-plan.roughness_power / 2.0)
    return (weight * per_patch).sum() / parallel.mean((weight * scale).sum()), float(relative)


class Loss(nn.Module):
    """The loss as a module, so that DistributedDataParallel can synchronise gradients between processes."""

    def __init__(self, net: TerrainNet, plan: TrainingPlan, parallel: DataParallel) -> None:
        super().__init__()
        self.net, self.plan, self.parallel = net, plan, parallel

    def forward(self, drawn: list[Batch], plain: bool, aim: Tensor | None = None) -> tuple[Tensor, float]:
        """See `pair_loss`."""
        return pair_loss(self.net, drawn[0], self.plan, plain, self.parallel, aim)
