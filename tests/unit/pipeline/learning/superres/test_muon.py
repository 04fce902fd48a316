"""Orthogonalised steps: singular values near one, and steps of the learning rate's size."""

import pytest
import torch

from orograph.pipeline.learning.superres.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(2, 6, 6), (1, 4, 12), (1, 12, 4)])
def test_singular_values_come_near_one(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert values.min() > 0.3
    assert values.max() < 1.3


def test_a_step_goes_against_the_gradient_and_weights_decay():
    kernel = torch.nn.Parameter(torch.ones(4, 4, 3, 3))
    still = torch.nn.Parameter(torch.ones(4, 4, 3, 3))
    kernel.grad = torch.randn(4, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    Muon([kernel, still], lr=0.1, decay=0.5).step()
    moved = kernel.detach() - 0.95
    assert (moved * kernel.grad).sum() < 0
    assert float(moved.square().mean().sqrt()) == pytest.approx(0.02, rel=0.3)
    assert (still == 1).all()
