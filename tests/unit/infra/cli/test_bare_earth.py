"""`orograph ordinal bare-earth` and its options, as people run it."""

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import ConfigError
from tests.support.sensors import power_law_terrain

SIDE = 200


def run(*words):
    result = CliRunner().invoke(app, ["ordinal", "bare-earth", *(str(word) for word in words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def write(path, values, nodata=None):
    profile = {"driver": "GTiff", "count": 1, "dtype": str(values.dtype), "nodata": nodata, "crs": "EPSG:25832"}
    place = from_origin(330_000, 5_650_000, 30, 30)
    with rasterio.open(path, "w", width=SIDE, height=SIDE, transform=place, **profile) as file:
        file.write(values, 1)
    return path


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Terrain under square woods of 15 m, with a land-cover map: folder, terrain, and where the woods stand."""
    folder = tmp_path_factory.mktemp("scene")
    terrain = power_law_terrain(SIDE, seed=2, pixel_m=30.0).astype(np.float32)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    trees = (rows // 20 + columns // 20) % 3 == 0
    write(folder / "dsm.tif", terrain + np.float32(15) * trees, -9999.0)
    write(folder / "cover.tif", np.where(trees, 10, 30).astype(np.uint8))
    write(folder / "terrain.tif", terrain, -9999.0)
    return folder, terrain, trees


def bands(path):
    with rasterio.open(path) as file:
        return file.read(), file.descriptions


@pytest.mark.parametrize(("words", "by"), [((), "edges"), (("--terrain", "terrain.tif"), "fusion")])
def test_a_map_or_a_terrain_model_lowers_woods_to_the_terrain(scene, tmp_path, words, by):
    folder, terrain, trees = scene
    words = [folder / word if word.endswith(".tif") else word for word in words]
    said = run(folder / "dsm.tif", "-o", tmp_path / "out.tif", "--land-cover", folder / "cover.tif", *words)
    (heights, _, lowered), names = bands(tmp_path / "out.tif")
    assert f"by {by}" in said
    assert names == ("bare earth", "added standard error", "mask")
    assert np.abs(heights - terrain)[trees].mean() < 3.0
    assert lowered[trees].mean() > 0.9
    assert np.abs(heights - terrain)[~trees].mean() < 0.3


def test_a_fusion_without_a_terrain_model_names_what_is_missing(scene, tmp_path):
    folder, _, _ = scene
    with pytest.raises(ConfigError, match="needs a terrain model"):
        run(folder / "dsm.tif", "-o", tmp_path / "out.tif", "--model", "fusion")
    assert not (tmp_path / "out.tif").exists()
