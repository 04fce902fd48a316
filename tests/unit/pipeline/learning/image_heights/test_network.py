"""Outputs of the image's size, with and without pooling of several dilations."""

import pytest
import torch

from orograph.pipeline.learning.image_heights.network import HeightNet, NetworkSpec


@pytest.mark.parametrize("aspp", [True, False])
def test_outputs_have_the_images_size(aspp):
    spec = NetworkSpec(18, 3, 4, aspp, 8)
    network = HeightNet(spec, 5).eval()
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 40, 56)).shape == (1, 5, 40, 56)
    assert NetworkSpec.from_dict(spec.to_dict()) == spec


def test_the_backbone_learns_at_a_tenth_of_the_rate():
    network = HeightNet(NetworkSpec(18, 3, 4, True, 8), 5)
    slow, fast = network.parameter_groups(0.1)
    assert (slow["lr"], fast["lr"]) == (pytest.approx(0.01), 0.1)
    assert len(slow["params"]) + len(fast["params"]) == len(list(network.parameters()))
