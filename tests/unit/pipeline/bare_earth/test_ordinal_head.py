"""Heads: probabilities that do not increase, heights between the classes, losses that fall with the truth."""

import pytest
import torch

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.ordinal_head import Decoding, HeadKind, OrdinalHead, head_of
from orograph.pipeline.errors import NoTrainingPixels

BINS = Bins(0.0, 20.0, 8)
TRUTH = torch.tensor([[[0.5, 3.0, 12.0, float("nan")]]])


def certain(head, heights_m):
    """Outputs of a network that is sure of the true class."""
    classes = BINS.classes(torch.nan_to_num(heights_m))
    k = torch.arange(BINS.count).view(1, -1, 1, 1)
    if head.kind is HeadKind.CLASSIFICATION:
        return 30.0 * (classes[:, None] == k).float()
    if head.kind is HeadKind.MSE:
        return torch.nan_to_num(heights_m)[:, None]
    logits = torch.where(classes[:, None] > k, 30.0, -30.0)
    return torch.stack([torch.zeros_like(logits), logits], dim=2).flatten(1, 2)


@pytest.mark.parametrize("kind", list(HeadKind))
def test_a_certain_network_has_no_loss_and_the_heights_of_its_classes(kind):
    head = head_of(kind, BINS)
    outputs = certain(head, TRUTH)
    assert outputs.shape[1] == head.channels
    assert head.loss(outputs, TRUTH) < 1e-6
    assert head.loss(torch.roll(outputs, 1, dims=3), TRUTH) > 0.1
    for decoding in Decoding:
        height = head.decode(outputs, decoding).height_m[..., :3]
        assert (height - TRUTH[..., :3]).abs().max() < 3.0
    with pytest.raises(NoTrainingPixels):
        head.loss(outputs, torch.full_like(TRUTH, float("nan")))


def test_probabilities_never_increase_with_height():
    head = OrdinalHead(BINS)
    above = head.probabilities(torch.randn(1, head.channels, 3, 4, generator=torch.Generator().manual_seed(1)))
    assert (above.diff(dim=1) <= 0).all()
    outputs = certain(head, TRUTH)
    assert head.exceeding(outputs, 2.0)[0, 0].tolist()[1:3] == pytest.approx([1.0, 1.0], abs=0.5)
    assert head.exceeding(outputs, 2.0)[0, 0, 0] < 0.5


def test_weights_choose_what_the_loss_sees():
    head = OrdinalHead(BINS)
    outputs = certain(head, torch.roll(TRUTH, 1, dims=2))
    only_first = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    assert head.loss(outputs, TRUTH, only_first) != head.loss(outputs, TRUTH)
