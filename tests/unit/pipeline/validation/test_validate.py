"""Heights against control: formats are read, frames moved, figures and coverage are right."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import NoOverlap, SourceGridError, SourceMissing, VerticalFrameMissing
from orograph.pipeline.validation import ControlColumns, ValidationOptions, read_control, validate
from orograph.pipeline.validation.validate import control_of_raster, rasters_of
from tests.support.validation_made import CONTROL, FRAME, GRIDS, PIXEL_M, WEST, csv_of


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


def test_another_raster_is_a_control(folder):
    control = control_of_raster(folder / "T_elevation.tif")
    found = validate([folder / "T_elevation.tif"], control, GRIDS)
    assert found.overall.largest_m < 1e-3
    assert rasters_of(folder) == (folder / "T_elevation.tif",)


def test_rasters_in_feet_with_masks_and_in_archives_are_read_as_every_command_reads_them(folder):
    with rasterio.open(folder / "T_elevation.tif") as file:
        metres, profile = file.read(1), file.profile
    void = metres > 450.0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(folder / "feet.tif", "w", **profile) as file:
        file.update_tags(VERTICAL_DATUM=FRAME)
        file.units = ("US survey foot",)
        file.write((metres * 3937.0 / 1200.0).astype("float32"), 1)
        file.write_mask(~void)
    with zipfile.ZipFile(folder / "delivered.zip", "w") as archive:
        archive.write(folder / "feet.tif", "DTM/FEET.TIF")
    for path in (folder / "feet.tif", folder / "delivered.zip"):
        control = control_of_raster(path)
        assert control.x.size == (~void).sum()
        for raster, other in (
            (folder / "T_elevation.tif", control),
            (path, control_of_raster(folder / "T_elevation.tif")),
        ):
            assert validate([raster], other, GRIDS).overall.largest_m < 1e-3


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


@pytest.mark.skipif(not CONTROL.is_dir() or not GRIDS.is_dir(), reason="needs ../shared/data/control and proj-grids")
def test_published_control_points_are_moved_to_nap(tmp_path):
    profile = {
        "driver": "GTiff", "height": 700, "width": 700, "count": 1, "dtype": "float32", "crs": "EPSG:28992+5709",
        "transform": Affine(1_000, 0, -200_000, 0, -1_000, 950_000),
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
    assert len(rows) > 7950
    assert len(known) > 7900
    assert np.abs([e + h for e, h in known]).max() < 2e-4
    # The other points have no NAP height in the file either; each has its reason.
    left_out = (tmp_path / "out" / "left_out.csv").read_text().splitlines()[1:]
    assert len(left_out) > 200
    assert all("outside the area of use of EPSG:9283" in line or "nlgeo2018" in line for line in left_out)
