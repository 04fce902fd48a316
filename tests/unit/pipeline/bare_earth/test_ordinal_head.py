"""Heads: losses of the paper's equations, and heights of certain outputs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.ordinal_head import Decoding, HeadKind, OrdinalHead, head_of
from orograph.pipeline.errors import (
    NoTrainingPixels,
)


def outputs_for(bins: Bins, classes: torch.Tensor, kind: HeadKind) -> torch.Tensor:
    """Outputs that are certain of the classes."""
    k = torch.arange(bins.count).view(1, -1, 1, 1)
    if kind is HeadKind.CLASSIFICATION:
        return 40.0 * (classes[:, None] == k).float()
    above = 20.0 * ((classes[:, None] > k).float() * 2 - 1)
    pairs = torch.stack([torch.zeros_like(above), above], dim=2)
    return pairs.flatten(1, 2)


@pytest.mark.parametrize("kind", [HeadKind.ORDINAL, HeadKind.CLASSIFICATION])
@pytest.mark.parametrize("decoding", list(Decoding))
def test_certain_outputs_decode_to_class_middles(kind: HeadKind, decoding: Decoding) -> None:
    bins = Bins(0.0, 40.0, 16)
    classes = torch.arange(16).view(1, 4, 4)
    head = head_of(kind, bins)
    outputs = outputs_for(bins, classes, kind)
    assert outputs.shape[1] == head.channels
    estimate = head.decode(outputs, decoding)
    assert np.allclose(estimate.height_m.numpy().ravel(), bins.middles_m, atol=1e-3)
    widths = np.diff(bins.thresholds_m)
    assert np.allclose(estimate.spread_m.numpy().ravel(), widths / np.sqrt(12), atol=2e-2)


def test_ordinal_loss_is_equation_two() -> None:
    bins = Bins(0.0, 10.0, 5)
    head = OrdinalHead(bins)
    torch.manual_seed(0)
    outputs = torch.randn(1, 10, 1, 2)
    heights = torch.tensor([[[bins.middles_m[3], bins.middles_m[0]]]], dtype=torch.float32)
    total = 0.0
    for pixel, c in enumerate((3, 0)):
        for k in range(5):
            p = torch.softmax(outputs[0, 2 * k : 2 * k + 2, 0, pixel], dim=0)[1]
            total -= float(torch.log(p) if k < c else torch.log(1 - p))
    assert float(head.loss(outputs, heights)) == pytest.approx(total / 2, rel=1e-5)
    heights[0, 0, 1] = torch.nan
    assert torch.isfinite(head.loss(outputs, heights))
    with pytest.raises(NoTrainingPixels):
        head.loss(outputs, torch.full_like(heights, torch.nan))


def test_ordinal_loss_grows_with_the_distance_of_the_class() -> None:
    bins = Bins(0.0, 20.0, 10)
    head = OrdinalHead(bins)
    outputs = outputs_for(bins, torch.full((1, 1, 1), 4), HeadKind.ORDINAL)
    losses = [float(head.loss(outputs, torch.full((1, 1, 1), float(m)))) for m in bins.middles_m]
    assert losses[4] < losses[5] < losses[6] < losses[9]
    assert losses[4] < losses[3] < losses[0]


def test_exceeding_probability_is_monotone_and_between() -> None:
    bins = Bins(0.0, 30.0, 12)
    head = OrdinalHead(bins)
    torch.manual_seed(1)
    outputs = torch.randn(2, 24, 3, 3) * 2
    levels = [float(head.exceeding(outputs, h).mean()) for h in (0.5, 1.0, 2.0, 5.0, 20.0)]
    assert all(0 <= b <= a <= 1 for a, b in itertools.pairwise(levels))
    k = 4
    exact = head.probabilities(outputs)[:, k]
    assert torch.allclose(head.exceeding(outputs, float(bins.thresholds_m[k + 1])), exact, atol=1e-5)
