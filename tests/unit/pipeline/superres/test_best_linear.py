"""The best linear filter: fitted, shipped, and beside the others in the evaluation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from affine import Affine
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import ConfigError, ModelError
from orograph.pipeline.learning.superres.dataset import GridLevel, Mix, Sampler, Site, SiteSpec
from orograph.pipeline.learning.superres.degrade import thin
from orograph.pipeline.learning.superres.evaluate import best_linear, evaluate, line_up, tiles_of
from orograph.pipeline.learning.superres.fit_linear import fit_linear, fit_on_pairs
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.best_linear import BUNDLED, LinearFilter, bundled_linear
from orograph.pipeline.superres.interpolants import interpolant_kernels
from tests.support.superres_fixtures import hills
from tests.support.tiffs import write_heights

GRID = Affine(10, 0, 4_321_000, 0, -10, 3_210_000)


def rolling(side, seed=0):
    """Ground whose detail the averaging blurs, so that there is something a filter can win back."""
    return gaussian_filter(hills(side, side, seed), 2.0)


def test_a_filter_is_what_its_kernels_say():
    kernels = interpolant_kernels("keys6", 3)
    up = LinearFilter(3, {Thinning.DECIMATED: kernels})
    coarse = hills(20, 30)
    np.testing.assert_allclose(up(coarse)[0], resolver("keys6")(coarse)[0], atol=1e-3)
    assert up(coarse)[1] is None


def test_tilings_agree_to_the_bit_and_voids_stay():
    up = resolver("best-linear")
    coarse = hills(40, 60)
    coarse[12:15, 20:26] = np.nan
    whole, _ = up(coarse, thinning=Thinning.AVERAGED)
    halo = up.halo_px
    part, _ = up(np.ascontiguousarray(coarse[:, 25 - halo :]), thinning=Thinning.AVERAGED, origin_px=(0, 25 - halo))
    np.testing.assert_array_equal(part[:, 3 * halo :], whole[:, 75:])
    np.testing.assert_array_equal(np.isnan(whole), np.kron(np.isnan(coarse), np.ones((3, 3))).astype(bool))


@pytest.mark.parametrize("thinning", Thinning)
def test_the_shipped_filters_return_samples_and_means(thinning):
    coarse = hills(30, 30)
    fine, _ = bundled_linear()(coarse, thinning=thinning)
    np.testing.assert_allclose(thin(fine, 3, thinning), coarse, atol=1e-3)


def test_the_shipped_filters_beat_every_interpolant_on_a_site_they_did_not_see(shared):
    tiles = tiles_of(shared("data/dtm/tirol_kot_5m.tif"), 3, 10.0)[:2]
    for thinning, least in ((Thinning.DECIMATED, 1.0), (Thinning.AVERAGED, 10.0)):
        methods, _ = line_up(["keys6"], thinning, 3, linear=best_linear([], 3, thinning))
        rows = evaluate(tiles, methods, 3, thinning)["methods"]
        assert rows["best-linear"]["gain_rmse_percent"] > least
        assert rows["best-linear"]["rmse_m"] == min(row["rmse_m"] for row in rows.values())


def test_fitting_finds_the_filter_that_made_the_heights():
    rng = np.random.default_rng(4)
    coarse = (100 * rng.standard_normal((80, 80))).astype(np.float32)
    kernels = interpolant_kernels("lanczos3", 3)
    fine, _ = LinearFilter(3, {Thinning.DECIMATED: kernels})(coarse)
    fine[100:120, 30:40] = np.nan
    fitted = fit_on_pairs([(coarse, fine)], 3, Thinning.DECIMATED).kernels[Thinning.DECIMATED]
    # Lanczos' window is not exactly interpolating between samples; its central phase is pinned, the others are found.
    np.testing.assert_allclose(fitted[0], kernels[0], atol=2e-3)
    with pytest.raises(ConfigError, match="no neighbourhood"):
        fit_on_pairs([(coarse, np.full_like(fine, np.nan))], 3, Thinning.DECIMATED)


@pytest.mark.parametrize(("factor", "modes"), [(2, {Thinning.AVERAGED}), (5, set(Thinning))])
def test_other_factors_are_fitted_on_sites(tmp_path, factor, modes):
    heights = hills(240, 240)
    spec = SiteSpec(name="made", file="made.tif", licence="CC0", attribution="made", levels=(GridLevel(),))
    sampler = Sampler([Site(spec, (heights,), (np.ones(heights.shape, bool),))], factor, 16, 4, Mix(), seed=1)
    fitted = fit_linear(sampler, draws=10)
    assert set(fitted.kernels) == modes
    fitted.write(tmp_path / "linear.safetensors", {"sites": ["made"]})
    again = LinearFilter.read(tmp_path / "linear.safetensors")
    mode = Thinning.AVERAGED
    np.testing.assert_array_equal(
        again(hills(20, 20), factor=factor, thinning=mode)[0], fitted(hills(20, 20), factor=factor, thinning=mode)[0]
    )
    with pytest.raises(ConfigError, match="--fit-on"):
        bundled_linear()(hills(20, 20), factor=factor)


def test_files_that_are_not_the_filters_are_refused(tmp_path):
    with pytest.raises(ModelError, match="expected 00"):
        LinearFilter.read(BUNDLED, "00" * 32)
    (tmp_path / "cut.safetensors").write_bytes(BUNDLED.read_bytes()[:500])
    with pytest.raises(ModelError, match="does not contain linear filters"):
        LinearFilter.read(tmp_path / "cut.safetensors")
    with pytest.raises(ModelError, match="of format"):
        LinearFilter.read(BUNDLED.with_name("superres-s.safetensors"))
    assert BUNDLED.with_suffix(".md").read_text().count(bundled_linear().name) >= 1


def test_the_command_fits_on_other_ground_only(tmp_path):
    here = write_heights(tmp_path / "here.tif", rolling(120), transform=GRID)
    there = write_heights(tmp_path / "there.tif", rolling(200, 3), transform=GRID)
    runner, base = CliRunner(), ["evaluate", str(here), "--model", "keys6", "--thinning", "averaged", "--json"]
    rows = json.loads(runner.invoke(app, [*base, "--factor", "2", "--fit-on", str(there)]).stdout)["methods"]
    assert rows["best-linear"]["rmse_m"] < rows["gdal-cubic"]["rmse_m"]
    without = runner.invoke(app, [*base, "--factor", "2"])
    assert "best-linear" not in json.loads(without.stdout)["methods"]
    assert "--fit-on" in without.stderr
    refused = runner.invoke(app, [*base, "--fit-on", str(here)])
    assert isinstance(refused.exception, ConfigError)
    trained = runner.invoke(
        app,
        ["train", str(tmp_path / "run"), "--dtm", str(there), "--preset", "linear", "--factor", "5", "--batch", "1"],
    )
    assert trained.exit_code == 0, trained.output
    judged = runner.invoke(app, [*base, "--factor", "5", "--model", str(tmp_path / "run" / "weights.safetensors")])
    assert "weights" in json.loads(judged.stdout)["methods"], judged.output
