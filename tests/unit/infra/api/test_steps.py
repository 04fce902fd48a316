"""The Python API's single steps give what the commands give, with CRS and vertical frame carried."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.enums import Resampling
from typer.testing import CliRunner

import orograph
from orograph.infra.api.arrays import to_array
from orograph.infra.cli import ordinal
from orograph.pipeline.core.grid import Tile
from tests.support.made import terrain

SIZE, PIXEL_M = 160, 10.0
TILE = Tile.parse("E4300N2650")


def heights(shift_m: tuple[float, float, float] = (0.0, 0.0, 0.0), frame: str | None = "EPSG:5621") -> xr.DataArray:
    """Known terrain on a grid of EPSG:3035, moved by east, north and up."""
    geobox = TILE.geobox(PIXEL_M)[:SIZE, :SIZE]
    x = geobox.affine.c + (np.arange(SIZE) + 0.5) * PIXEL_M
    y = geobox.affine.f - (np.arange(SIZE) + 0.5) * PIXEL_M
    east, north, up = shift_m
    plane = (terrain(x[None, :] - east, y[:, None] - north) + up).astype(np.float32)
    return to_array(plane, geobox, attributes={"vertical_frame": frame})


def test_heights_of_points_move_like_the_command() -> None:
    one = orograph.height(6.02, 50.75, 100.0, from_="EPSG:3855", to="EPSG:5621")
    many = orograph.height([6.02, 7.0], [50.75, 50.0], [100.0, 200.0], from_="EPSG:3855", to="EPSG:5621")
    assert many.height_m[0] == pytest.approx(one.height_m)
    assert one.height_m - one.shift_m == pytest.approx(100.0)
    assert one.operation == many.operation
    assert 0 < one.accuracy_m < 1


def test_a_raster_moves_by_the_operation_of_its_points() -> None:
    array = heights(frame="EPSG:3855")
    array[3, 4] = np.nan
    moved = orograph.harmonise(array, to="EPSG:5621")
    point = array.rio.reproject("EPSG:4326")
    lon, lat = float(point.x.mean()), float(point.y.mean())
    shift = orograph.height(lon, lat, 0.0, from_="EPSG:3855", to="EPSG:5621").shift_m
    assert float((moved - array).mean()) == pytest.approx(shift, abs=0.005)
    assert np.isnan(moved[3, 4])
    assert int(np.isnan(moved).sum()) == 1
    assert moved.attrs["vertical_frame"] == "EPSG:5621"
    assert moved.rio.crs.to_epsg() == 3035
    assert float(array[0, 0]) == pytest.approx(float(heights(frame="EPSG:3855")[0, 0])), "the input was changed"


def test_a_raster_without_a_frame_is_not_moved() -> None:
    with pytest.raises(orograph.errors.VerticalFrameMissing):
        orograph.harmonise(heights(frame=None), to="EPSG:5621")
    with pytest.raises(orograph.errors.VerticalFrameMissing, match="EPSG:3855"):
        orograph.harmonise(heights(frame="EPSG:3855"), from_="EPSG:5709", to="EPSG:5621")


def test_paths_and_arrays_give_the_same(tmp_path: Path) -> None:
    array = heights(frame=None)
    array.rio.write_nodata(-9999).fillna(-9999).rio.to_raster(tmp_path / "dem.tif")
    from_path = orograph.harmonise(tmp_path / "dem.tif", from_="EPSG:3855", to="EPSG:5621")
    from_array = orograph.harmonise(array, from_="EPSG:3855", to="EPSG:5621")
    xr.testing.assert_allclose(from_path, from_array)


def test_an_array_with_south_first_gives_the_same_heights() -> None:
    array = heights(frame="EPSG:3855")
    turned = orograph.harmonise(array[::-1], to="EPSG:5621")
    xr.testing.assert_allclose(turned, orograph.harmonise(array, to="EPSG:5621"))


def test_coregistration_finds_and_applies_a_known_shift() -> None:
    reference, raster = heights(), heights((6.0, -4.0, 1.5))
    found = orograph.coregister(reference, raster)
    assert found.converged
    assert found.shift_m == pytest.approx((-6.0, 4.0, -1.5), abs=0.05)
    aligned = found.apply(raster, like=reference)
    inner = slice(10, -10)
    assert float(np.abs((aligned - reference)[inner, inner]).max()) < 0.1
    assert found.report["status"] == "converged"
    assert found.report["method"] == "nuth-kaab"
    assert aligned.attrs["vertical_frame"] == "EPSG:5621"


def test_a_raster_in_another_crs_is_moved_into_that_of_the_reference() -> None:
    reference, raster = heights(), heights((6.0, -4.0, 1.5))
    elsewhere = raster.rio.write_nodata(np.nan).rio.reproject(25832, resampling=Resampling.cubic)
    elsewhere.attrs = {**raster.attrs}
    aligned = orograph.coregister(reference, elsewhere).apply(elsewhere, like=reference)
    assert aligned.rio.crs.to_epsg() == 3035
    inner = slice(15, -15)
    assert float(np.abs((aligned - reference)[inner, inner]).median()) < 0.1


def test_unlike_frames_are_not_compared() -> None:
    with pytest.raises(orograph.errors.VerticalError):
        orograph.coregister(heights(), heights(frame="EPSG:3855"))


@pytest.mark.parametrize("model", ["keys6", "superres-s"])
def test_superresolution_keeps_the_grids_extent(model: str) -> None:
    coarse = heights()
    fine = orograph.superresolve(coarse, factor=3, model=model)
    assert fine.elevation.shape == (SIZE * 3, SIZE * 3)
    assert fine.rio.bounds() == pytest.approx(coarse.rio.bounds())
    assert float(np.abs(fine.elevation[1::3, 1::3].values - coarse.values).max()) < 0.01
    assert ("standard_error" in fine) == (model == "superres-s")


def test_bare_earth_removes_a_house() -> None:
    surface = heights() * 0.05
    surface.attrs = heights().attrs
    surface[70:76, 70:76] += 8.0
    ground = orograph.bare_earth(surface, model="opening")
    assert float((surface - ground.elevation)[71:75, 71:75].min()) > 5.0
    assert float(ground.lowered[72, 72]) == 1.0
    assert ground.elevation.attrs["surface"] == "DTM"
    with pytest.raises(orograph.errors.ConfigError, match=r"10\.0 m"):
        orograph.bare_earth(surface)


@pytest.fixture(scope="module")
def wooded(tmp_path_factory):
    """A DSM of 30 m with woods of 15 m, its terrain two metres too high on a finer grid, and the map of the woods."""
    folder = tmp_path_factory.mktemp("wooded")
    rows, columns = np.mgrid[0:160, 0:160]
    bare = (500.0 + 40.0 * np.sin(rows / 17.0) + 30.0 * np.cos(columns / 23.0)).astype(np.float32)
    woods = (np.sin(rows / 11.0) * np.sin(columns / 9.0) > 0.25).astype(np.float32)
    size, corner = 30.0, (4_300_000.0, 2_700_000.0)

    def array(values: np.ndarray, metres: float) -> xr.DataArray:
        y = corner[1] - (np.arange(values.shape[0]) + 0.5) * metres
        x = corner[0] + (np.arange(values.shape[1]) + 0.5) * metres
        made = xr.DataArray(values.astype(np.float32), coords={"y": y, "x": x}, dims=("y", "x")).rio.write_crs(3035)
        made.attrs["vertical_frame"] = "EPSG:5621"
        return made

    dsm, terrain = array(bare + 15.0 * woods, size), array(np.kron(bare + 2.0, np.ones((2, 2))), size / 2)
    classes = array(np.where(woods > 0, 10, 30), size).astype(np.uint8)
    classes.rio.to_raster(folder / "map.tif")
    dsm.rio.to_raster(folder / "dsm.tif")
    terrain.rio.to_raster(folder / "terrain.tif")
    return dsm, terrain, folder, bare, woods > 0


def test_bare_earth_takes_map_sensor_and_terrain_model(wooded) -> None:
    dsm, terrain, folder, bare, woods = wooded
    left = {}
    for name, given in {
        "edges": {"land_cover": folder / "map.tif", "sensor": "glo-30", "canopy_share": 1.0},
        "fusion": {"land_cover": folder / "map.tif", "terrain": terrain, "footprint_m": 5.0, "noise_m": 0.5},
    }.items():
        made = orograph.bare_earth(dsm, **given)
        assert made.elevation.attrs["model"] == name
        left[name] = float(np.abs(made.elevation.values - bare)[woods].mean())
    assert left["fusion"] < left["edges"] < 6.0
    assert left["fusion"] < 2.5
    without_map = orograph.bare_earth(dsm, model="fusion", terrain=folder / "terrain.tif")
    assert float(np.abs(without_map.elevation.values - bare)[woods].mean()) < 10.0


def test_a_terrain_model_that_cannot_be_compared_is_rejected(wooded) -> None:
    dsm, terrain, _, _, _ = wooded
    decimetres = (terrain * 10.0).assign_attrs(terrain.attrs)
    with pytest.raises(orograph.errors.VerticalError, match="above the terrain model"):
        orograph.bare_earth(dsm, terrain=decimetres)
    with pytest.raises(orograph.errors.ConfigError, match="uses no terrain model"):
        orograph.bare_earth(dsm, model="opening", terrain=terrain)
    with pytest.raises(orograph.errors.ConfigError, match="needs a terrain model"):
        orograph.bare_earth(dsm, model="fusion")
    with pytest.raises(orograph.errors.NoOverlap):
        orograph.bare_earth(dsm, terrain=terrain.assign_coords(x=terrain.x + 90_000.0))
    with pytest.raises(orograph.errors.ConfigError, match="canopy share"):
        orograph.bare_earth(dsm, terrain=terrain, canopy_share=1.5)


def test_the_command_and_the_api_give_the_same_bare_earth(wooded) -> None:
    dsm, _, folder, _, _ = wooded
    given = {"sensor": "srtm", "noise_m": 1.0, "terrain_accuracy_m": 3.0}
    ours = orograph.bare_earth(dsm, land_cover=folder / "map.tif", terrain=folder / "terrain.tif", **given)
    flags = ["--land-cover", folder / "map.tif", "--terrain", folder / "terrain.tif", "--sensor", "srtm"]
    flags += ["--noise-m", 1.0, "--terrain-accuracy-m", 3.0]
    command = ["bare-earth", folder / "dsm.tif", "-o", folder / "made.tif", *flags]
    result = CliRunner().invoke(ordinal.app, [str(part) for part in command])
    assert result.exit_code == 0, result.output
    assert "by fusion" in result.output
    with rasterio.open(folder / "made.tif") as made:
        np.testing.assert_allclose(made.read(1), ours.elevation.values, atol=1e-3)
        np.testing.assert_allclose(made.read(2), ours.standard_error.values, atol=1e-3)


def test_arrays_that_are_not_heights_are_rejected() -> None:
    array = heights()
    with pytest.raises(orograph.errors.SourceGridError):
        orograph.harmonise(xr.DataArray(array.values, dims=("y", "x")), from_="EPSG:3855", to="EPSG:5621")
    with pytest.raises(orograph.errors.BandMismatch):
        orograph.harmonise(xr.concat([array, array], "band"), from_="EPSG:5621", to="EPSG:3855")
    array[:9, :9] = -9999.0
    with pytest.raises(orograph.errors.NodataError):
        orograph.harmonise(array, to="EPSG:3855")
