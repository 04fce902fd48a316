"""What the network promises by construction, on untrained weights."""

from __future__ import annotations

import pytest
import torch

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.folded_network import FoldedNet, difference_kernels, differences
from orograph.pipeline.superres.network import PRESETS, Condition, TerrainNet
from tests.support.superres_fixtures import hills, made_net

CONDITIONS = [
    Condition(Thinning.DECIMATED),
    Condition(Thinning.AVERAGED),
    Condition(Thinning.DECIMATED, 0.4),
    Condition(Thinning.AVERAGED, -0.3),
]


def heights(rows=40, columns=44):
    return torch.from_numpy(hills(rows, columns) - 1500)[None, None]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_twice_the_relief_is_exactly_twice_the_answer(condition):
    net, z = made_net(), heights()
    assert torch.equal(net(z * 4.0, condition), net(z, condition) * 4.0)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_raised_ground_gives_raised_answers(condition):
    net, z = made_net(), heights()
    torch.testing.assert_close(net(z + 512.0, condition), net(z, condition) + 512.0, atol=5e-3, rtol=0)


def test_flat_ground_stays_flat_to_the_bit():
    folded = FoldedNet(made_net(), Condition(), None, "bf16", "cpu")
    relative, _ = folded(torch.full((1, 1, 40, 40), 2345.678))
    assert relative.shape[-1] == 40 - 2 * PRESETS["XS"].radius_px
    assert torch.equal(relative, torch.zeros_like(relative))


@pytest.mark.parametrize("factor", [3, 5])
def test_decimated_input_is_returned_at_its_samples(factor):
    net, z = made_net(factor=factor), heights()
    fine = net(z, Condition(Thinning.DECIMATED))
    torch.testing.assert_close(fine[..., factor // 2 :: factor, factor // 2 :: factor], z, atol=1e-4, rtol=0)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_averaged_input_is_the_mean_of_its_block(factor):
    net, z = made_net(factor=factor), heights()
    fine = net(z, Condition(Thinning.AVERAGED))
    means = torch.nn.functional.avg_pool2d(fine, factor)
    inner = (..., slice(6, -6), slice(6, -6))
    torch.testing.assert_close(means[inner], z[inner], atol=1e-3, rtol=0)


def test_noisy_input_may_be_changed():
    net, z = made_net(), heights()
    condition = Condition(Thinning.DECIMATED, consistent=False)
    fine = net(z, condition, noise_m=torch.tensor([2.0]))
    assert (fine[..., 1::3, 1::3] - z).abs().max() > 1e-3


@pytest.mark.parametrize("condition", CONDITIONS)
def test_folded_kernels_compute_the_same(condition):
    net, z = made_net(), heights(60, 60)
    folded = FoldedNet(net, condition, None, "fp32", "cpu")
    relative, none = folded(z)
    rim = PRESETS["XS"].radius_px
    fine = torch.nn.functional.pixel_shuffle(relative + z[..., rim:-rim, rim:-rim], 3)
    assert none is None
    torch.testing.assert_close(fine, net(z, condition)[..., 3 * rim : -3 * rim, 3 * rim : -3 * rim], atol=2e-3, rtol=0)


def test_difference_kernels_are_the_same_filter():
    kernels = torch.randn(4, 5, 5)
    kernels -= kernels.mean(dim=(1, 2), keepdim=True)
    z = heights()
    direct = torch.nn.functional.conv2d(z, kernels[:, None])
    by_steps = torch.nn.functional.conv2d(differences(z), difference_kernels(kernels))
    torch.testing.assert_close(by_steps, direct, atol=1e-2, rtol=0)


def test_receptive_radius_is_what_the_preset_says():
    net, z = made_net(), heights(61, 61)
    touched = z.clone()
    touched[0, 0, 30, 30] += 50.0
    changed = (net(touched, Condition()) - net(z, Condition())).abs()[0, 0] > 0
    rows = changed.any(dim=1).nonzero()
    radius = PRESETS["XS"].radius_px
    assert int(rows.min()) >= (30 - radius) * 3
    assert int(rows.max()) < (31 + radius) * 3


def test_sizes_are_those_of_the_design():
    bases = torch.zeros(2, 9, 9, 9)
    count = {
        name: sum(p.numel() for p in TerrainNet(preset, 3, bases).parameters()) for name, preset in PRESETS.items()
    }
    assert count["XS"] < 70_000
    assert count["S"] < 200_000
    assert 550_000 < count["M"] < 700_000
    assert count["L"] > 2_000_000


def test_bases_of_another_factor_are_refused():
    with pytest.raises(ConfigError, match="factor 3"):
        TerrainNet(PRESETS["XS"], 3, torch.zeros(2, 4, 9, 9))
