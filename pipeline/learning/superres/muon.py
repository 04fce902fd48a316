"""Optimiser Muon: gradient steps with orthogonalised directions, for the kernels of the body.

After K. Jordan and others, 2024 (Newton-Schulz iteration), with steps scaled to Adam's size as J. Liu and others, 2025,
propose, so that both optimisers share one learning rate. torch's Muon accepts matrices only, not convolution kernels.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_ADAM_RMS = 0.2


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices with the same singular vectors and singular values near one, shape (count, rows, columns)."""
    a, b, c = _COEFFICIENTS
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised steps, for convolution kernels of one shape.

    Args:
        kernels: Parameters of one shape (channels out, channels in, rows, columns).
        lr: Learning rate, on Adam's scale.
        momentum: Decay of the running mean of gradients.
        decay: Weight decay per step, as a share of the learning rate.
    """

    def __init__(self, kernels: Iterable[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.0) -> None:
        super().__init__(kernels, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update the kernels that have a gradient."""
        for group in self.param_groups:
            moved = [(kernel, kernel.grad) for kernel in group["params"] if kernel.grad is not None]
            kernels: list[Tensor] = [kernel for kernel, _ in moved]
            steps = []
            for kernel, gradient in moved:
                state = self.state[kernel]
                if "mean" not in state:
                    state["mean"] = torch.zeros_like(gradient)
                state["mean"].lerp_(gradient, 1.0 - group["momentum"])
                steps.append(gradient.lerp(state["mean"], group["momentum"]).flatten(1))
            matrices = torch.stack(steps)
            scale = _ADAM_RMS * max(matrices.shape[1:]) ** 0.5
            for kernel, step in zip(kernels, orthogonalised(matrices), strict=True):
                kernel.mul_(1.0 - group["lr"] * group["decay"])
                kernel.add_(step.view_as(kernel), alpha=-group["lr"] * scale)
