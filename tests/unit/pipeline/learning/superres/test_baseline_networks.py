"""Earlier attempts behind the same signature."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orograph.pipeline.errors import ConfigError, ModelError
from orograph.pipeline.learning.superres.baseline_networks import (
    BASELINES,
    BaselineResolver,
    baseline_resolver,
    train_baseline,
)
from orograph.pipeline.learning.superres.dataset import GridLevel, Mix, Sampler, Site, SiteSpec
from orograph.pipeline.learning.superres.opendem_vdsr import OpenDemVdsr
from orograph.pipeline.superres import resolver
from tests.support.superres_fixtures import hills, made_weights


@pytest.fixture(scope="module")
def sampler():
    heights = hills(150, 150)
    spec = SiteSpec(name="made", file="made.tif", licence="CC0", attribution="made", levels=(GridLevel(),))
    return Sampler([Site(spec, (heights,), (np.ones(heights.shape, bool),))], 3, 12, 2, Mix(), seed=0)


@pytest.mark.parametrize("kind", ["srcnn", "edsr"])
def test_a_baseline_trains_saves_and_resolves(kind, sampler, tmp_path):
    path = tmp_path / f"{kind}.safetensors"
    _, steps = train_baseline(kind, sampler, 0.2, seed=1, path=path)
    up = baseline_resolver(path)
    fine, sigma = up(hills(20, 24))
    assert steps >= 1
    assert fine.shape == (60, 72)
    assert sigma is None
    np.testing.assert_array_equal(up(hills(20, 24))[0], fine)


@pytest.mark.parametrize("kind", list(BASELINES))
def test_every_baseline_begins_as_cubic_and_learns_the_published_size_of_patch(kind):
    torch.manual_seed(1)
    net = BASELINES[kind](3)
    net.start()
    coarse = hills(70, 65)
    up = BaselineResolver(kind, 3, net.requires_grad_(False))
    np.testing.assert_allclose(
        up(coarse)[0][6:-6, 6:-6], resolver("gdal-cubic")(coarse)[0][6:-6, 6:-6], atol=2e-3, err_msg=kind
    )


def test_tilings_of_a_baseline_agree():
    torch.manual_seed(2)
    net = BASELINES["srcnn"](3)
    up = BaselineResolver("srcnn", 3, net.requires_grad_(False))
    coarse = hills(120, 150)
    coarse[50:53, 60:66] = np.nan
    whole, _ = up(coarse, origin_px=(7, 13))
    halo = up.halo_px
    part, _ = up(np.ascontiguousarray(coarse[:, 90 - halo :]), origin_px=(7, 103 - halo))
    np.testing.assert_array_equal(part[:, 3 * halo :], whole[:, 270:])


def test_shapes_are_those_of_the_papers():
    count = {name: sum(p.numel() for p in make(3).parameters()) for name, make in BASELINES.items()}
    assert count["vdsr9"] == 752_001, "OpenDEM's network, to the parameter"
    assert 650_000 < count["vdsr"] < 680_000
    assert 1_100_000 < count["edsr"] < 1_400_000


def test_other_files_and_names_are_refused(tmp_path, sampler):
    other = tmp_path / "other.safetensors"
    made_weights(other)
    with pytest.raises(ModelError, match="expected orograph-baseline"):
        baseline_resolver(other)
    with pytest.raises(ConfigError, match="srgan"):
        train_baseline("srgan", sampler, 0.1, seed=1, path=tmp_path / "x.safetensors")


def test_opendems_own_weights_beat_cubic_on_alpine_ground(shared):
    pytest.importorskip("h5py", reason="the bench extra is not installed")
    import rasterio

    up = OpenDemVdsr.read(shared("data/models/opendem_vdsr_x3.h5"))
    with rasterio.open(shared("data/dtm/tirol_hit_5m.tif")) as dataset:
        fine = dataset.read(1)[100:340:2, 140:380:2]
    coarse = np.ascontiguousarray(fine[1::3, 1::3])
    inner = np.s_[15:-15, 15:-15]
    rmse = {
        name: float(np.sqrt(np.mean((method(coarse)[0] - fine)[inner] ** 2)))
        for name, method in (("opendem", up), ("cubic", resolver("gdal-cubic")))
    }
    assert rmse["opendem"] < 0.97 * rmse["cubic"]
    with pytest.raises(ConfigError, match="x3"):
        up(coarse, factor=2)
