"""The folded network computes what the network computes, from differences of heights."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.folded_network import FoldedNet, difference_kernels, differences
from orograph.pipeline.superres.network import Condition
from tests.support.superres_fixtures import made_net


def test_kernels_on_differences_are_the_zero_sum_kernels_on_heights():
    generator = torch.Generator().manual_seed(0)
    kernels = torch.randn(4, 5, 5, generator=generator)
    kernels -= kernels.mean(dim=(1, 2), keepdim=True)
    heights = torch.randn(2, 1, 12, 13, generator=generator)
    direct = F.conv2d(heights, kernels[:, None])
    torch.testing.assert_close(
        F.conv2d(differences(heights), difference_kernels(kernels)), direct, atol=1e-4, rtol=1e-4
    )


def test_differences_are_forward_and_zero_at_the_far_border():
    found = differences(torch.tensor([[[[1.0, 3.0], [7.0, 8.0]]]]))
    assert found[0].tolist() == [[[2.0, 0.0], [1.0, 0.0]], [[6.0, 5.0], [0.0, 0.0]]]


@pytest.mark.parametrize("thinning", list(Thinning))
def test_level_terrain_is_unchanged_at_any_height(thinning):
    net = made_net()
    folded = FoldedNet(net, Condition(thinning), None, "fp32", "cpu")
    for height in (0.0, 4000.0):
        correction, scale = folded(torch.full((1, 1, 48, 50), height))
        assert not correction.any()
        assert scale is None
