"""Figures, tables, raster output, and the commands over them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import InputError
from orograph.pipeline.learning.superres.degrade import thin
from orograph.pipeline.learning.superres.evaluate import evaluate, line_up, tiles_of
from orograph.pipeline.learning.superres.metrics import blocks_worse, counted, figures, slope_aspect_deg, ssim
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.file import superresolve_file
from orograph.pipeline.superres.thinning_evidence import accepted_thinning, averaging_log_odds
from tests.support.superres_fixtures import hills, made_weights


def write(path, heights, size=10.0, crs="EPSG:3035", nodata=-9999.0):
    profile = {"driver": "GTiff", "height": heights.shape[0], "width": heights.shape[1], "count": 1}
    transform = Affine(size, 0, 4_321_000, 0, -size, 3_210_000) if size > 1 else Affine(size, 0, 11, 0, -size, 47)
    with rasterio.open(path, "w", dtype="float32", crs=crs, transform=transform, nodata=nodata, **profile) as dataset:
        dataset.write(np.where(np.isnan(heights), nodata, heights).astype(np.float32), 1)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    made_weights(path, gate=(0.5, 0.8))
    return path


def test_figures_of_a_known_error():
    truth = hills(100, 120)
    mask = counted(np.ones(truth.shape, bool))
    assert mask.sum() == 70 * 90
    off = figures(truth + 2.0, truth, mask, (10.0, 10.0))
    assert off.rmse_m == pytest.approx(2.0, abs=1e-3)
    assert off.mae_m == pytest.approx(2.0, abs=1e-3)
    assert off.psnr_db == pytest.approx(20 * np.log10(3150 / 2), abs=0.01)
    assert off.slope_rmse_deg == pytest.approx(0.0, abs=1e-3)
    assert 0.99 < off.ssim < 1.0
    assert ssim(truth, truth, mask) == pytest.approx(1.0)


def test_slope_and_aspect_of_planes():
    y, x = np.mgrid[:20, :20]
    slope, aspect = slope_aspect_deg((10.0 * y).astype(np.float32), (10.0, 10.0))
    assert slope[5, 5] == pytest.approx(45.0)
    assert aspect[5, 5] == pytest.approx(0.0), "rows grow southwards, so this plane falls north"
    _, east = slope_aspect_deg((-10.0 * x).astype(np.float32), (10.0, 10.0))
    assert east[5, 5] == pytest.approx(90.0)


def test_voids_take_their_border_with_them():
    valid = np.ones((100, 100), bool)
    valid[50, 50] = False
    mask = counted(valid)
    assert not mask[36, 50]
    assert mask[34, 50]


def test_blocks_are_compared_one_by_one():
    truth = np.zeros((60, 60), np.float32)
    cubic, derived = truth + 1.0, truth + 0.5
    derived[:30, :30] = 2.0
    assert blocks_worse(derived, cubic, truth, np.ones((60, 60), bool)) == (1, 4)
    assert blocks_worse(cubic, cubic, truth, np.ones((60, 60), bool)) == (0, 4)


def test_tiles_follow_opendem_and_phases_are_all_used(tmp_path):
    path = write(tmp_path / "a.tif", hills(700, 400) + 1000.0, size=5.0)
    own = tiles_of(path, 3, None)
    assert [tile.fine_m.shape for tile in own] == [(300, 300), (300, 99), (300, 300), (300, 99), (99, 300), (99, 99)]
    halved = tiles_of(path, 3, 10.0)
    assert len({tile.name.split()[1] for tile in halved}) == 4
    assert halved[0].pixel_size_m == (10.0, 10.0)
    assert len({tile.name.split()[1] for tile in tiles_of(path, 3, 10.0, "mean")}) == 1
    with pytest.raises(InputError, match="does not contain a tile"):
        tiles_of(write(tmp_path / "b.tif", hills(40, 40)), 3, None)


def test_the_report_ranks_methods_on_the_same_pixels(tmp_path, weights):
    tiles = tiles_of(write(tmp_path / "a.tif", hills(120, 120)), 3, None)
    methods, declared = line_up([str(weights)], Thinning.AVERAGED, 3, ensemble=True, wrong_mode=True)
    report = evaluate(tiles, methods, 3, Thinning.AVERAGED, declared)
    rows = report["methods"]
    assert {"gdal-cubic", "keys6", "tiny", "tiny gated", "tiny x8", "tiny x8 gated", "tiny as decimated"} <= set(rows)
    assert rows["gdal-cubic"]["gain_rmse_percent"] == 0.0
    expected = 100 * (1 - rows["keys6"]["rmse_m"] / rows["gdal-cubic"]["rmse_m"])
    assert rows["keys6"]["gain_rmse_percent"] == pytest.approx(expected, abs=1e-2)
    assert 0 <= rows["tiny"]["coverage_percent"]["68"] <= rows["tiny"]["coverage_percent"]["95"] <= 100
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_decimated_terrain_declared_averaged_is_found_out(shared):
    with rasterio.open(shared("data/dtm/tirol_hit_5m.tif")) as dataset:
        fine = dataset.read(1)[60:360, 100:400]
    fine = np.where(fine == -9999.0, np.nan, fine).astype(np.float32)
    sampled, averaged = (thin(fine, 3, mode) for mode in Thinning)
    assert averaging_log_odds(sampled) < averaging_log_odds(averaged)
    assert accepted_thinning(Thinning.AVERAGED, sampled) is Thinning.DECIMATED
    assert accepted_thinning(Thinning.AVERAGED, averaged) is Thinning.AVERAGED
    assert accepted_thinning(Thinning.DECIMATED, averaged) is Thinning.DECIMATED, "that error is harmless and stays"


def test_nothing_is_told_of_small_or_flat_rasters():
    assert averaging_log_odds(np.zeros((100, 100), np.float32)) is None
    assert averaging_log_odds(hills(10, 10)) is None


def test_a_raster_becomes_a_cog_with_its_error_band(tmp_path, weights):
    heights = hills(90, 110)
    heights[20:30, 20:40] = np.nan
    source = write(tmp_path / "in.tif", heights, size=30.0)
    report = superresolve_file(source, tmp_path / "out.tif", resolver(str(weights)), 3, Thinning.DECIMATED)
    with rasterio.open(report.path) as out:
        assert out.shape == (270, 330)
        assert out.res == (10.0, 10.0)
        assert out.bounds == rasterio.open(source).bounds
        assert out.descriptions == ("elevation", "interpolation error")
        fine = out.read(1, masked=True)
    assert np.ma.getmaskarray(fine)[60:90, 60:120].all()
    np.testing.assert_allclose(fine[1::3, 1::3].filled(np.nan), heights, atol=1e-3)


def test_windows_of_a_raster_meet_without_a_seam(tmp_path, weights, monkeypatch):
    from orograph.pipeline.superres import file as rasters

    source = write(tmp_path / "in.tif", hills(100, 90), size=30.0)
    up = resolver(str(weights))
    superresolve_file(source, tmp_path / "one.tif", up, 3, Thinning.DECIMATED)
    monkeypatch.setattr(rasters, "WINDOW_PX", 37)
    superresolve_file(source, tmp_path / "many.tif", up, 3, Thinning.DECIMATED)
    with rasterio.open(tmp_path / "one.tif") as one, rasterio.open(tmp_path / "many.tif") as many:
        np.testing.assert_array_equal(one.read(), many.read())


def test_commands_answer_in_json(tmp_path, weights):
    source = write(tmp_path / "in.tif", hills(96, 96), size=1 / 3600, crs="EPSG:4326")
    runner = CliRunner()
    result = runner.invoke(app, ["superres", str(source), str(tmp_path / "out.tif"), "--model", str(weights), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["shape"] == [288, 288]
    assert json.loads(result.stdout)["pixel_size_m"][0] == pytest.approx(7.04, abs=0.02)
    dtm = write(tmp_path / "dtm.tif", hills(120, 120))
    result = runner.invoke(
        app,
        ["evaluate", str(dtm), "--model", str(weights), "--no-wrong-mode", "--maps", str(tmp_path / "maps"), "--json"],
    )
    assert result.exit_code == 0, result.output
    assert "tiny" in json.loads(result.stdout)["methods"]
    assert (tmp_path / "maps" / "gains.png").stat().st_size > 5000
    page = (tmp_path / "maps" / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 3
    assert "<td>tiny</td>" in page
    table = runner.invoke(app, ["evaluate", str(dtm), "--model", "keys6"])
    assert "keys6" in table.output


def test_unknown_models_are_usage_errors(tmp_path):
    from orograph.pipeline.errors import ConfigError

    source = write(tmp_path / "in.tif", hills(96, 96))
    result = CliRunner().invoke(app, ["superres", str(source), str(tmp_path / "o.tif"), "--model", "bicubic"])
    assert isinstance(result.exception, ConfigError)
