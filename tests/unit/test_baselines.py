"""Earlier attempts behind the same signature."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import ConfigError, ModelError
from pipeline.models import resolver
from pipeline.models.baselines.networks import BASELINES, baseline_resolver, train_baseline
from pipeline.models.baselines.opendem import OpenDemVdsr
from pipeline.models.superres.dataset import Level, Mix, Sampler, Site, SiteSpec
from tests.support.superres_fixtures import hills, made_weights


@pytest.fixture(scope="module")
def sampler():
    heights = hills(150, 150)
    spec = SiteSpec(name="made", file="made.tif", licence="CC0", attribution="made", levels=(Level(),))
    return Sampler([Site(spec, (heights,), (np.ones(heights.shape, bool),))], 3, 12, 2, Mix(), seed=0)


@pytest.mark.parametrize("kind", ["srcnn", "edsr"])
def test_a_baseline_trains_saves_and_resolves(kind, sampler, tmp_path):
    path = tmp_path / f"{kind}.safetensors"
    _, steps = train_baseline(kind, sampler, 0.2, 1, path)
    up = baseline_resolver(path)
    fine, sigma = up(hills(20, 24))
    assert steps >= 1
    assert fine.shape == (60, 72)
    assert sigma is None
    np.testing.assert_array_equal(up(hills(20, 24))[0], fine)


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
        train_baseline("srgan", sampler, 0.1, 1, tmp_path / "x.safetensors")


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
