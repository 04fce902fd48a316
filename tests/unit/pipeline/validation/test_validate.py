"""Heights against control: formats are read, frames moved, figures and coverage are right."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import NoOverlap, SourceGridError, SourceMissing, VerticalFrameMissing
from orograph.pipeline.validation import AccuracyFigures, ControlColumns, ValidationOptions, read_control, validate
from orograph.pipeline.validation.report import write_validation
from orograph.pipeline.validation.validate import control_of_raster, rasters_of

SHARED = Path(__file__).parents[4].parent / "shared"
CONTROL = SHARED / "data" / "control"
GRIDS = SHARED / "proj-grids"
FRAME = "EPSG:5621"
SIZE, PIXEL_M = 200, 10.0
WEST, NORTH = 4_300_000.0, 2_702_000.0


def heights_at(x, y):
    """A slope towards the south-east."""
    return 300.0 + 0.1 * (x - WEST) + 0.2 * (NORTH - y)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tile with its uncertainty and source index, and points on it with errors of a known spread."""
    path = tmp_path_factory.mktemp("validation")
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    heights = heights_at(WEST + PIXEL_M * cols, NORTH - PIXEL_M * rows)
    index = np.where(cols < 100, 1, 2)
    profile = {
        "driver": "GTiff", "height": SIZE, "width": SIZE, "count": 1, "crs": "EPSG:3035",
        "transform": Affine(PIXEL_M, 0, WEST, 0, -PIXEL_M, NORTH),
    }  # fmt: skip
    for name, values, dtype in (
        ("elevation", heights, "float32"), ("uncertainty", np.full_like(heights, 0.5), "float32"),
        ("source_index", index, "uint8"),
    ):  # fmt: skip
        with rasterio.open(path / f"T_{name}.tif", "w", dtype=dtype, **profile) as file:
            if name == "elevation":
                file.update_tags(VERTICAL_DATUM=FRAME)
            file.write(values.astype(dtype), 1)
    rng = np.random.default_rng(4)
    x, y = WEST + rng.uniform(50, 1950, 4000), NORTH - rng.uniform(50, 1950, 4000)
    error = rng.normal(0.3, 0.5, x.size)
    np.savez(path / "points.npz", x=x, y=y, h=heights_at(x, y) - error, error=error)
    return path


@pytest.fixture(scope="module")
def points(folder):
    return np.load(folder / "points.npz")


def csv_of(folder, points, name="points.csv", header="east;north;height;cover", cover="10"):
    lines = [header] if header else []
    rows = zip(points["x"], points["y"], points["h"], strict=True)
    lines += [f"{x:.3f};{y:.3f};{h:.4f};{cover}" for x, y, h in rows]
    (folder / name).write_text("\n".join(lines), encoding="utf-8")
    return folder / name


def test_figures_and_classes_of_a_tile(folder, points):
    control = read_control(csv_of(folder, points), ControlColumns(crs="EPSG:3035"))
    found = validate([folder / "T_elevation.tif"], control, GRIDS, ValidationOptions(control_frame=FRAME))
    figures = found.overall
    assert figures.count == 4000
    assert figures.median_m == pytest.approx(np.median(points["error"]), abs=1e-3)
    assert figures.rmse_m == pytest.approx(np.sqrt(np.mean(points["error"] ** 2)), abs=1e-3)
    assert figures.le90_m == pytest.approx(np.percentile(np.abs(points["error"]), 90), abs=1e-3)
    assert figures.coverage_68 == pytest.approx(np.mean(np.abs(points["error"]) <= 0.5), abs=1e-3)
    assert found.slope_deg == pytest.approx(np.degrees(np.arctan(np.hypot(0.1, 0.2))), abs=1e-2)
    assert list(found.classes["slope"]) == ["10 to 20 degrees"]
    # Rising eastwards and southwards: the steepest descent leads north-west, nearer to north.
    assert list(found.classes["aspect"]) == ["north-west"]
    assert found.aspect_deg[0] == pytest.approx(360 - np.degrees(np.arctan2(0.1, 0.2)), abs=0.1)
    assert set(found.classes["source"]) == {"source 1", "source 2"}
    assert set(found.classes["cover"]) == {"trees"}
    nearest = np.abs(points["x"] - (WEST + 1000.0))
    assert np.abs(found.border_m - nearest).max() < 2 * PIXEL_M


def test_the_report_is_one_page_and_json(folder, points, tmp_path):
    control = read_control(csv_of(folder, points), ControlColumns(crs="EPSG:3035"))
    found = validate([folder / "T_elevation.tif"], control, GRIDS, ValidationOptions(control_frame=FRAME))
    write_validation(found, tmp_path)
    document = json.loads((tmp_path / "validation.json").read_text())
    assert document["overall"]["count"] == 4000
    page = (tmp_path / "index.html").read_text()
    assert page.count("data:image/png;base64,") == 4
    assert "Distance to a border" in page
    assert len((tmp_path / "errors.csv").read_text().splitlines()) == 4001


def test_every_format_gives_the_same_points(folder, points):
    x, y, h = points["x"], points["y"], points["h"]
    plain = csv_of(folder, points, "bare.txt", header="")
    with zipfile.ZipFile(folder / "bare.txt.zip", "w") as archive:
        archive.write(plain, "bare.txt")
    shapes = shapely.to_wkb(shapely.points(x, y, h))
    from pyogrio.raw import write

    write(folder / "points.gpkg", shapes, [h], ["height"], geometry_type="Point Z", crs="EPSG:3035+5621", driver="GPKG")
    import pyarrow as pa
    import pyarrow.parquet as pq

    meta = {
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "crs": json.loads(pyogrio_crs("EPSG:3035"))}},
        "version": "1.0.0",
    }
    table = pa.table({"h_mean": h, "geometry": shapes.tolist()}).replace_schema_metadata({"geo": json.dumps(meta)})
    pq.write_table(table, folder / "points.parquet")
    layout = ControlColumns(x="1", y="2", height="3", crs="EPSG:3035")
    for path, how in (
        (folder / "bare.txt.zip", layout),
        (folder / "points.gpkg", None),
        (folder / "points.parquet", None),
    ):
        control = read_control(path, how)
        np.testing.assert_allclose(control.x, x, atol=1e-3)
        np.testing.assert_allclose(control.height_m, h, atol=1e-3)
        assert control.crs.to_epsg() == 3035
    assert read_control(folder / "points.gpkg").frame == FRAME
    assert sqlite3.connect(folder / "points.gpkg").execute("select count(*) from points").fetchone() == (4000,)


def pyogrio_crs(code):
    from pyproj import CRS

    return CRS.from_user_input(code).to_json()


def test_icesat_granules_are_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "atl06.h5", "w") as file:
        group = file.create_group("gt1l/land_ice_segments")
        for name, values in (
            ("longitude", [10.0, 10.1, 10.2]), ("latitude", [47.0, 47.1, 47.2]), ("h_li", [500.0, 3.4e38, 502.0]),
            ("h_li_sigma", [0.1, 3.4e38, 0.2]), ("atl06_quality_summary", [0, 0, 1]),
        ):  # fmt: skip
            group[name] = np.array(values)
        terrain = file.create_group("gt2r/land_segments")
        for name, values in (
            ("longitude", [11.0]), ("latitude", [46.0]), ("terrain/h_te_best_fit", [700.0]),
            ("terrain/h_te_uncertainty", [3.4e38]),
        ):  # fmt: skip
            terrain[name] = np.array(values, np.float32)
    control = read_control(tmp_path / "atl06.h5")
    assert control.height_m.tolist() == [500.0, 700.0]
    assert control.sigma_m[0] == 0.1
    assert np.isnan(control.sigma_m[1])
    assert control.frame == "EPSG:7912"


def test_another_raster_is_a_control(folder):
    control = control_of_raster(folder / "T_elevation.tif")
    found = validate([folder / "T_elevation.tif"], control, GRIDS)
    assert found.overall.largest_m < 1e-3
    assert rasters_of(folder) == (folder / "T_elevation.tif",)


def test_what_cannot_be_compared_says_why(folder, points, tmp_path):
    path = csv_of(folder, points)
    raster = [folder / "T_elevation.tif"]
    with pytest.raises(VerticalFrameMissing, match="--control-frame"):
        validate(raster, read_control(path, ControlColumns(crs="EPSG:3035")), GRIDS)
    with pytest.raises(NoOverlap, match="--crs"):
        validate(
            raster, read_control(path, ControlColumns(crs="EPSG:32632")), GRIDS, ValidationOptions(control_frame=FRAME)
        )
    (tmp_path / "odd.csv").write_text("a,b,c\n1,2,3\n")
    with pytest.raises(SourceGridError, match="--height"):
        read_control(tmp_path / "odd.csv")
    with pytest.raises(SourceMissing):
        read_control(tmp_path / "absent.csv")


def test_coverage_of_a_stated_sigma():
    rng = np.random.default_rng(1)
    errors = rng.normal(0, 2, 50_000)
    figures = AccuracyFigures.of(errors, np.full(errors.size, 2.0))
    assert figures.coverage_68 == pytest.approx(0.683, abs=0.01)
    assert figures.coverage_95 == pytest.approx(0.95, abs=0.01)
    assert AccuracyFigures.of(errors).coverage_68 is None
    assert figures.nmad_m == pytest.approx(2.0, abs=0.05)


@pytest.mark.skipif(not CONTROL.is_dir() or not GRIDS.is_dir(), reason="needs ../shared/data/control and proj-grids")
def test_published_control_points_are_moved_to_nap(tmp_path):
    profile = {
        "driver": "GTiff", "height": 700, "width": 700, "count": 1, "dtype": "float32", "crs": "EPSG:28992+5709",
        "transform": Affine(500, 0, -20_000, 0, -500, 640_000),
    }  # fmt: skip
    with rasterio.open(tmp_path / "zero.tif", "w", **profile) as file:
        file.write(np.zeros((700, 700), "f4"), 1)
    path = next(CONTROL.glob("rdnaptrans2018*.txt"))
    arguments = [
        "validate", str(tmp_path / "zero.tif"), "-c", str(path), "--x", "3", "--y", "2", "--height", "4",
        "--crs", "EPSG:4258", "--control-frame", "EPSG:4937", "--grids-dir", str(GRIDS), "-o", str(tmp_path / "out"),
        "--no-pictures",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    rows = np.genfromtxt(tmp_path / "out" / "errors.csv", delimiter=",", skip_header=1)
    truth = np.array([line.split() for line in path.read_text().splitlines()])
    nap = {f"{float(lon):.7f},{float(lat):.7f}": h for lat, lon, h in truth[:, [1, 2, 6]]}
    known = [(e, float(nap[f"{x:.7f},{y:.7f}"])) for x, y, e in rows[:, :3] if f"{x:.7f},{y:.7f}" in nap]
    assert len(known) > 4000
    assert np.abs([e + h for e, h in known]).max() < 2e-4


@pytest.mark.skipif(not CONTROL.is_dir(), reason="needs ../shared/data/control")
def test_a_sample_of_satellite_altimetry_is_read():
    control = read_control(next(CONTROL.glob("icesat2*.parquet")))
    assert control.count > 10_000
    assert control.frame == "EPSG:7912"
    assert np.isfinite(control.sigma_m).mean() > 0.9
    assert "80" in set(control.cover)
