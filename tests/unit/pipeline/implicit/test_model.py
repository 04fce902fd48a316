"""Models: fitting, files, queries, tiles and pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from PIL import Image
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import (
    BadIdentifier,
    BandMismatch,
    ConfigError,
    ForeignModel,
    NoOverlap,
    NoTrainingPixels,
    OutsideExtent,
    SourceGridError,
    SourceMissing,
)
from orograph.pipeline.implicit.asset import implicit_product
from orograph.pipeline.implicit.fit import FitOptions, Kind, fit_model, halo_px_needed
from orograph.pipeline.implicit.frames import FrameWriter, multidirectional_hillshade
from orograph.pipeline.implicit.interest import interest_of
from orograph.pipeline.implicit.model import ImplicitModel
from orograph.pipeline.implicit.network import NetworkShape
from orograph.pipeline.implicit.terrain import render_model, terrain_at, to_model
from orograph.pipeline.implicit.tiling import Quadkey, TileCutter, quadkeys_in, read_heights


def ground(rows: int, cols: int, row: int = 0, col: int = 0) -> np.ndarray:
    y, x = np.mgrid[row : row + rows, col : col + cols].astype(np.float64)
    waves = (
        40 * np.sin(x / 9 + 0.3) * np.cos(y / 13) + 12 * np.sin((x + 2 * y) / 5) + 4 * np.sin(x / 2.1) * np.sin(y / 2.7)
    )
    return (800 + waves).astype(np.float32)


def box(rows: int, cols: int, row: int = 0, col: int = 0, crs: str = "EPSG:32633") -> GeoBox:
    return GeoBox((rows, cols), Affine(10, 0, 500_000 + 10 * col, 0, -10, 5_200_000 - 10 * row), crs)


def write(path: Path, heights: np.ndarray, geobox: GeoBox, bands: int = 1) -> Path:
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": bands, "height": heights.shape[0], "width": heights.shape[1],
        "crs": str(geobox.crs) if geobox.crs else None, "transform": geobox.affine, "nodata": -9999.0,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        for band in range(1, bands + 1):
            dataset.write(np.nan_to_num(heights, nan=-9999.0), band)
    return path


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_survives_its_file(kind: Kind, tmp_path: Path) -> None:
    z = ground(48, 56)
    options = FitOptions(kind, 700, steps=30, frames=2)
    seen: list[int] = []
    model = fit_model(z, box(48, 56), options, source="hills", frame="EPSG:5621", on_frame=lambda n, _: seen.append(n))
    path = tmp_path / "m.safetensors"
    assert model.save(path) == path.stat().st_size
    read = ImplicitModel.load(path)
    assert read.field.parameters == model.field.parameters <= 700
    assert (read.crs, read.source, read.frame, read.shape) == ("EPSG:32633", "hills", "EPSG:5621", (48, 56))
    image = render_model(read, box(48, 56))
    error = image.astype(np.float64) - z
    assert read.statistics.rmse_m == pytest.approx(np.sqrt(np.mean(error**2)), abs=2e-3)
    assert read.statistics.max_m == pytest.approx(np.abs(error).max(), abs=2e-3)
    assert len(seen) >= 1


def test_adaptive_beats_the_uniform_lattice_on_rough_ground(shared) -> None:
    heights, geobox = read_heights(shared("data/srtm/bigtujunga.tif"))
    z, part = heights[65:577, 342:854], geobox[65:577, 342:854]
    adaptive = fit_model(z, part, FitOptions(Kind.ADAPTIVE, 15_625))
    uniform = fit_model(z, part, FitOptions(Kind.LATTICE, 15_625))
    assert adaptive.field.parameters <= 15_625
    assert adaptive.statistics.rmse_m <= 4.0 < uniform.statistics.rmse_m < 4.68
    assert sum(a.nbytes for a in adaptive.arrays.values()) <= 21_000
    fine = fit_model(z, part, FitOptions(Kind.ADAPTIVE, 65_000))
    assert fine.statistics.rmse_m <= 1.2


@pytest.mark.parametrize("kind", [Kind.LATTICE, Kind.ADAPTIVE])
def test_neighbours_meet_without_a_seam(kind: Kind) -> None:
    n = 64
    options = FitOptions(kind, 1600)
    halo = halo_px_needed((n, n), options)

    def tile(row: int, col: int) -> ImplicitModel:
        z = ground(n + 2 * halo, n + 2 * halo, row - halo, col - halo)
        return fit_model(z, box(n, n, row, col), options, halo_px=halo)

    west, east, south = tile(0, 0), tile(0, n), tile(n, 0)
    names = ("height", "dv", "du", "dvv", "dvu", "duu")
    y = np.linspace(west.bounds[1], west.bounds[3], 333)
    x = np.full_like(y, west.bounds[2])
    a, b = west.derivatives(x, y), east.derivatives(x, y)
    assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)
    x = np.linspace(west.bounds[0], west.bounds[2], 333)
    y = np.full_like(x, west.bounds[1])
    a, b = west.derivatives(x, y), south.derivatives(x, y)
    assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)
    alone = fit_model(ground(n, n), box(n, n), options)
    assert west.statistics.rmse_m < 2.5 * alone.statistics.rmse_m + 0.5


def test_slope_aspect_and_curvature_of_known_surfaces() -> None:
    geobox = box(60, 60)
    y, x = np.mgrid[0:60, 0:60] * 10.0 + 5.0
    plane = (100 + 0.3 * x + 0.4 * y).astype(np.float32)  # falls to the north-west, as y runs south
    model = fit_model(plane, geobox, FitOptions(Kind.LATTICE, 200, step_m=0.001))
    answer = terrain_at(model, np.array([500_300.0]), np.array([5_199_700.0]))
    scale = 0.9996
    assert answer.slope_deg[0] == pytest.approx(np.degrees(np.arctan(0.5 * scale)), abs=0.05)
    assert answer.aspect_deg[0] == pytest.approx(323.13, abs=0.2)
    assert abs(answer.mean_curvature_per_m[0]) < 1e-5
    bowl = (200 + ((x - 300) ** 2 + (y - 300) ** 2) / 2000).astype(np.float32)
    model = fit_model(bowl, geobox, FitOptions(Kind.LATTICE, 400, step_m=0.0001))
    bottom = terrain_at(model, np.array([500_300.0]), np.array([5_199_700.0]))
    assert bottom.mean_curvature_per_m[0] == pytest.approx(-1e-3, rel=0.02)
    side = terrain_at(model, np.array([500_500.0]), np.array([5_199_700.0]))
    assert side.aspect_deg[0] == pytest.approx(270, abs=0.5)
    assert side.profile_curvature_per_m[0] == pytest.approx(-1e-3 / (1 + 0.04) ** 1.5, rel=0.03)


def test_slopes_are_true_in_degrees_and_in_web_mercator() -> None:
    lat = 47.0
    east_m = np.radians(6378137 / np.sqrt(1 - 0.00669438 * np.sin(np.radians(lat)) ** 2)) * np.cos(np.radians(lat))
    x = (np.arange(50) + 0.5) * 1e-4
    ramp = np.broadcast_to(100 + 0.2 * x * east_m, (50, 50)).astype(np.float32)
    geobox = GeoBox((50, 50), Affine(1e-4, 0, 11, 0, -1e-4, lat + 25e-4), "EPSG:4326")
    model = fit_model(ramp, geobox, FitOptions(Kind.LATTICE, 200, step_m=0.001))
    answer = terrain_at(model, np.array([11.0025]), np.array([lat]))
    assert answer.slope_deg[0] == pytest.approx(np.degrees(np.arctan(0.2)), abs=0.02)
    assert answer.aspect_deg[0] == pytest.approx(270, abs=0.1)
    tile = Quadkey.parse("1202213002")
    grid = tile.geobox(64)
    size = abs(grid.resolution.x)
    ramp = np.broadcast_to(0.1 * size * np.arange(64), (64, 64)).astype(np.float32)
    mercator = fit_model(ramp, grid, FitOptions(Kind.LATTICE, 200, step_m=0.01))
    west, south, east, north = mercator.bounds
    answer = terrain_at(mercator, np.array([(west + east) / 2]), np.array([(south + north) / 2]))
    assert np.tan(np.radians(answer.slope_deg[0])) == pytest.approx(0.1 / np.cos(np.radians(46.7)), rel=0.005)


def test_networks_derivatives_are_its_differences() -> None:
    model = fit_model(ground(40, 40), box(40, 40), FitOptions(Kind.MLP, 2000, steps=60))
    v, u, d = np.array([0.41]), np.array([0.57]), 1e-3
    jet = model.field.jet(v, u)
    assert jet.dv[0] == pytest.approx(
        (model.field.height(v + d, u) - model.field.height(v - d, u))[0] / (2 * d), rel=0.1
    )
    assert jet.du[0] == pytest.approx(
        (model.field.height(v, u + d) - model.field.height(v, u - d))[0] / (2 * d), rel=0.1
    )
    assert NetworkShape().parameters == 15_649
    assert NetworkShape.for_parameters(15_649).parameters == 15_649


def test_queries_and_grids_outside_are_refused() -> None:
    model = fit_model(ground(40, 40), box(40, 40), FitOptions(Kind.LATTICE, 200))
    with pytest.raises(OutsideExtent, match="1 of 2 points"):
        terrain_at(model, np.array([500_100.0, 0.0]), np.array([5_199_900.0, 0.0]))
    with pytest.raises(NoOverlap):
        render_model(model, box(20, 20, 5000, 5000))
    image = render_model(model, box(60, 60, -10, -10), "slope")
    assert np.isnan(image[:10]).all()
    assert np.isfinite(image[10:50, 10:50]).all()
    lonlat = render_model(model, GeoBox.from_bbox((14.9, 46.9, 15.1, 47.0), "EPSG:4326", shape=(200, 400)))
    assert 0 < np.isfinite(lonlat).sum() < lonlat.size
    x, _ = to_model(model, np.array([15.001]), np.array([46.95]), "EPSG:4326")
    assert x[0] == pytest.approx(500_076, abs=1)


def test_bad_fits_are_refused() -> None:
    z = ground(32, 32)
    with pytest.raises(NoTrainingPixels):
        fit_model(np.full_like(z, np.nan), box(32, 32))
    with pytest.raises(NoTrainingPixels):
        fit_model(np.full_like(z, np.nan), box(32, 32), FitOptions(Kind.MLP, 500, steps=2))
    with pytest.raises(ConfigError, match="too few"):
        FitOptions(parameters=10)
    with pytest.raises(ConfigError, match="cannot share borders"):
        fit_model(z, box(16, 16), FitOptions(Kind.MLP, 500), halo_px=8)
    with pytest.raises(SourceGridError, match="shape"):
        fit_model(z, box(30, 30))
    with pytest.raises(SourceGridError, match="rotated"):
        fit_model(z, GeoBox((32, 32), Affine.rotation(10) * Affine.scale(10, -10), "EPSG:32633"))
    with pytest.raises(SourceGridError, match="no CRS"):
        fit_model(z, GeoBox((32, 32), Affine(10, 0, 0, 0, -10, 0), None))


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    with pytest.raises(SourceMissing):
        ImplicitModel.load(tmp_path / "none.safetensors")
    text = tmp_path / "text.safetensors"
    text.write_text("no tensors at all")
    with pytest.raises(ForeignModel, match="no safetensors"):
        ImplicitModel.load(text)
    other = tmp_path / "other.safetensors"
    save_file({"weight": np.zeros(3, dtype=np.float32)}, other)
    with pytest.raises(ForeignModel, match="not an implicit terrain"):
        ImplicitModel.load(other)
    save_file({"code": np.zeros(3, dtype=np.uint8)}, other, metadata={"orograph-implicit": '{"version": 99}'})
    with pytest.raises(ForeignModel, match="version 99"):
        ImplicitModel.load(other)
    save_file({"code": np.zeros(3, dtype=np.uint8)}, other, metadata={"orograph-implicit": '{"version": 1}'})
    with pytest.raises(ForeignModel, match="damaged"):
        ImplicitModel.load(other)


def test_quadkeys_are_those_of_the_tile_system() -> None:
    tile = Quadkey.parse("1202213002")
    assert (tile.zoom, tile.x, tile.y) == (10, 536, 361)
    assert tile.id == "1202213002"
    west, south, east, north = tile.bounds_m
    assert (west, north) == pytest.approx((939_258.2, 5_909_499.5), abs=0.2)
    neighbour = Quadkey(10, 537, 361)
    assert neighbour.bounds_m[0] == east
    assert tile in quadkeys_in(west + 1, south + 1, east - 1, north - 1, 10)
    assert len(quadkeys_in(west - 1, south - 1, east + 1, north + 1, 10)) == 9
    for bad in ("", "4", "12a", "0" * 24):
        with pytest.raises(BadIdentifier):
            Quadkey.parse(bad)


def test_tiles_and_their_surroundings_are_cut_alike(tmp_path: Path) -> None:
    path = write(tmp_path / "h.tif", ground(400, 400), box(400, 400))
    cutter = TileCutter(path, 14, 64)
    units = cutter.units()
    assert len(units) >= 4
    tile = units[0]
    assert isinstance(tile, Quadkey)
    east = Quadkey(tile.zoom, tile.x + 1, tile.y)
    a, b = cutter.heights(tile, 20), cutter.heights(east, 20)
    assert np.array_equal(a[:, 64:], b[:, :40], equal_nan=True)
    assert np.isfinite(a).any()
    assert np.isnan(a).any()
    with pytest.raises(ConfigError, match="halo"):
        cutter.heights(tile, 65)
    large = TileCutter(path, None, 50)
    assert [unit.id for unit in large.units()] == ["E4700N2650"]
    assert np.isfinite(large.heights(large.units()[0])).sum() > 5


def test_voids_beyond_the_data_leave_the_seam_shut(tmp_path: Path) -> None:
    path = write(tmp_path / "h.tif", ground(400, 400), box(400, 400))
    cutter = TileCutter(path, 14, 64)
    options = FitOptions(Kind.ADAPTIVE, 1600)
    halo = halo_px_needed((64, 64), options)
    units = [u for u in cutter.units() if np.isfinite(cutter.heights(u)).any()]
    models = {u: fit_model(cutter.heights(u, halo), cutter.geobox(u), options, halo_px=halo) for u in units}
    compared = 0
    for unit, model in models.items():
        east = models.get(Quadkey(14, unit.x + 1, unit.y))
        if east is not None:
            y = np.linspace(model.bounds[1], model.bounds[3], 65)[1:-1]
            x = np.full_like(y, model.bounds[2])
            assert np.array_equal(model.height(x, y), east.height(np.full_like(y, east.bounds[0]), y))
            compared += 1
    assert compared


def test_product_of_a_tile(tmp_path: Path) -> None:
    raster = Raster(ground(100, 100), box(100, 100), "EPSG:5621", Surface.DTM)
    product = implicit_product(raster, tmp_path)
    model = ImplicitModel.load(product.path)
    assert model.frame == "EPSG:5621"
    assert product.info.name == "implicit"
    assert f"{model.statistics.rmse_m:.2f}" in product.info.title


def test_pictures_of_a_fit(tmp_path: Path) -> None:
    z = ground(60, 80)
    shade = multidirectional_hillshade(z, 10.0)
    assert shade.dtype == np.uint8
    assert shade.std() > 5
    assert (multidirectional_hillshade(np.zeros((9, 9)), 10.0) == shade.dtype.type(1 + 254 * 0.5)).all()
    writer = FrameWriter(z.shape, 10.0, size_px=40)
    fit_model(z, box(60, 80), FitOptions(Kind.ADAPTIVE, 600, frames=4), on_frame=writer)
    writer.write(tmp_path / "fit.gif")
    with Image.open(tmp_path / "fit.gif") as image:
        assert image.n_frames == len(writer) == 4
        assert image.size == (40, 30)
    with pytest.raises(ConfigError):
        FrameWriter(z.shape, 10.0).write(tmp_path / "none.gif")


def test_a_film_of_a_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av", reason="PyAV (the extra `video`) is not installed")
    z = ground(62, 90)
    writer = FrameWriter(z.shape, 10.0, size_px=45)
    fit_model(z, box(62, 90), FitOptions(Kind.ADAPTIVE, 600, frames=3), on_frame=writer)
    writer.write(tmp_path / "fit.mp4", seconds=0.2)
    with av.open(str(tmp_path / "fit.mp4")) as film:
        frames = [frame.to_ndarray(format="gray") for frame in film.decode(video=0)]
    assert len(frames) == 2 * 5 + 50
    assert frames[0].shape == (32, 46)
    assert frames[-1].std() > 5
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match="PyAV"):
        writer.write(tmp_path / "fit.mp4")


def test_interest_grows_with_curvature() -> None:
    z = np.zeros((40, 40), dtype=np.float32)
    z[20:, :] = 30.0
    z[0, 0] = np.nan
    weight = interest_of(z, "curvature")
    assert weight[20, 20] > 5 * weight[5, 20]
    assert weight[0, 0] == 0
    assert interest_of(z, "slope")[20, 20] > 5 * interest_of(z, "slope")[5, 20]
    with pytest.raises(ConfigError):
        interest_of(z, "beauty")


def test_command_line_fits_asks_and_renders(tmp_path: Path) -> None:
    runner = CliRunner()
    tif = write(tmp_path / "h.tif", ground(64, 64), box(64, 64))
    out = tmp_path / "m.safetensors"
    result = runner.invoke(app, ["implicit", "fit", str(tif), "-o", str(out), "--parameters", "900", "--json"])
    assert result.exit_code == 0, result.output
    asked = runner.invoke(app, ["implicit", "query", str(out), "--lon", "15.003", "--lat", "46.95"])
    assert '"slope_deg"' in asked.output
    points = tmp_path / "p.csv"
    points.write_text("x,y\n500100,5199900\n500200,5199800\n")
    table = runner.invoke(app, ["implicit", "query", str(out), "--points", str(points), "--crs", "EPSG:32633"])
    assert len(table.output.strip().splitlines()) == 3
    image = tmp_path / "r.tif"
    drawn = runner.invoke(app, ["implicit", "query", str(out), "--render", str(image), "--resolution", "5"])
    assert drawn.exit_code == 0, drawn.output
    with rasterio.open(image) as dataset:
        assert dataset.shape == (128, 128)
        assert dataset.crs.to_epsg() == 32633
    described = runner.invoke(app, ["implicit", "info", str(out)])
    assert '"rmse_m"' in described.output
    folder = tmp_path / "tiles"
    cut_up = runner.invoke(
        app,
        ["implicit", "tiles", str(tif), "-o", str(folder), "--zoom", "15", "--pixels", "64", "--parameters", "1500"],
    )
    assert cut_up.exit_code == 0, cut_up.output
    assert list(folder.glob("*.safetensors"))


def test_command_line_names_what_is_wrong(tmp_path: Path) -> None:
    runner = CliRunner()
    two = write(tmp_path / "two.tif", ground(32, 32), box(32, 32), bands=2)
    assert isinstance(runner.invoke(app, ["implicit", "fit", str(two)]).exception, BandMismatch)
    one = write(tmp_path / "one.tif", ground(32, 32), box(32, 32))
    wrong = runner.invoke(app, ["implicit", "fit", str(one), "--kind", "magic"])
    assert isinstance(wrong.exception, ConfigError)
    assert isinstance(runner.invoke(app, ["implicit", "fit", str(tmp_path / "no.tif")]).exception, SourceMissing)
    outside = runner.invoke(app, ["implicit", "fit", str(one), "--window", "0", "0", "99", "99"])
    assert isinstance(outside.exception, OutsideExtent)
    weights = write(tmp_path / "w.tif", np.ones((32, 32), np.float32), box(32, 32, 5, 5))
    apart = runner.invoke(app, ["implicit", "fit", str(one), "--weights", str(weights)])
    assert isinstance(apart.exception, NoOverlap)
