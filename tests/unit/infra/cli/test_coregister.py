"""`orograph coregister` writes what it says, and its numbers are those of its files."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from rio_cogeo.cogeo import cog_validate
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.engines.environment import GDAL_ENV
from orograph.pipeline.errors import CoregistrationError

SIZE = 260


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A reference, a raster moved by a smooth field, a mask of the west, and the field."""
    path = tmp_path_factory.mktemp("pair")
    rng = np.random.default_rng(3)
    size = SIZE + 40
    ground = sum(
        a * gaussian_filter(rng.standard_normal((size, size)), s, mode="wrap") * s for a, s in ((900, 30), (250, 10))
    )
    spline = spline_filter(ground + 500.0, 3)
    rows, cols = np.mgrid[0:SIZE, 0:SIZE] + 20.0
    field = np.stack([12 + 4 * (cols / 150 - 1), -6 + 3 * (rows / 150 - 1), -2 + 1.5 * (cols / 150 - 1)])
    moved = map_coordinates(spline, [rows + field[1] / 20, cols - field[0] / 20], order=3, prefilter=False) + field[2]
    moved += rng.normal(0, 0.4, moved.shape)
    plain = map_coordinates(spline, [rows, cols], order=3, prefilter=False)
    plain[100:110, 100:110] = -9999
    profile = {
        "driver": "GTiff", "height": SIZE, "width": SIZE, "count": 1, "crs": "EPSG:25833",
        "transform": Affine(20, 0, 500_000, 0, -20, 8_600_000),
    }  # fmt: skip
    stable = np.ones((SIZE, SIZE), np.uint8)
    stable[:, 240:] = 0
    for name, values, extra in (
        ("ref.tif", moved.astype("f4"), {"dtype": "float32", "nodata": -9999}),
        ("tba.tif", plain.astype("f4"), {"dtype": "float32", "nodata": -9999}),
        ("mask.tif", stable, {"dtype": "uint8"}),
    ):
        with rasterio.open(path / name, "w", **profile, **extra) as file:
            file.write(values, 1)
    np.save(path / "field.npy", field)
    return path


@pytest.fixture(scope="module")
def made(folder):
    arguments = ["coregister", str(folder / "ref.tif"), str(folder / "tba.tif"), "--inliers", str(folder / "mask.tif")]
    result = CliRunner().invoke(app, [*arguments, "-o", str(folder / "out"), "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return folder / "out", json.loads(result.stdout)


def test_the_report_says_what_was_found(made):
    out, printed = made
    report = json.loads((out / "report.json").read_text())
    assert printed == {key: value for key, value in report.items() if key != "blocks"}
    assert report["status"] == "converged"
    assert report["method"] == "blockwise(nuth-kaab)"
    assert report["shift_m"]["east"] == pytest.approx(12, abs=1)
    assert report["nmad_m"]["held_out"] == pytest.approx(0.4, abs=0.05)
    assert report["nmad_m"]["before"] > 1.0
    assert report["nmad_m"]["after"] == pytest.approx(0.4, abs=0.05)
    assert abs(report["median_m"]["after"]) < 0.05
    assert len(report["blocks"]) == np.prod(report["block_shape"])
    assert {"wall", "cpu"} == report["seconds"]["fit"].keys()


def test_the_field_has_the_right_sign_and_names(made, folder):
    out, _ = made
    truth = np.load(folder / "field.npy")
    with rasterio.open(out / "field.tif") as file:
        assert file.descriptions == ("east", "north", "up")
        assert file.units == ("metre",) * 3
        field = file.read()
    for part, true, most in zip(field, truth, (1.0, 1.0, 0.2), strict=True):
        assert np.sqrt(np.mean((part - true) ** 2)) < most


def test_the_aligned_raster_is_a_cog_that_fits_and_keeps_its_void(made, folder):
    out, report = made
    assert cog_validate(out / "aligned.tif", quiet=True)[0]
    with rasterio.open(out / "aligned.tif") as file, rasterio.open(folder / "ref.tif") as reference:
        assert file.transform == reference.transform
        aligned, target = file.read(1, masked=True), reference.read(1)
    stable = np.ones(target.shape, bool)
    stable[:, 240:] = False
    dh = (target - aligned)[stable].compressed()
    assert 1.4826 * np.median(abs(dh - np.median(dh))) == pytest.approx(report["nmad_m"]["after"], abs=1e-3)
    assert abs(int(aligned.mask[90:120, 90:120].sum()) - 100) <= 12


def test_the_page_holds_all_pictures(made):
    out, _ = made
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 7
    assert "NMAD held out" in page
    for name in ("dh_before", "dh_after", "shift_east", "shift_north", "shift_up", "arrows", "histogram"):
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_in_common_is_an_error_with_a_report(folder, tmp_path):
    with rasterio.open(folder / "tba.tif") as file:
        profile = file.profile | {"transform": Affine(20, 0, 900_000, 0, -20, 8_600_000)}
        values = file.read()
    with rasterio.open(tmp_path / "far.tif", "w", **profile) as file:
        file.write(values)
    arguments = ["coregister", str(folder / "ref.tif"), str(tmp_path / "far.tif"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--no-pictures"])
    assert isinstance(result.exception, CoregistrationError)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["status"] == "too_few"


def test_what_does_not_converge_writes_no_raster(folder, tmp_path):
    arguments = [
        "coregister",
        str(folder / "ref.tif"),
        str(folder / "tba.tif"),
        "-o",
        str(tmp_path),
        "--max-shift",
        "2",
    ]
    result = CliRunner().invoke(app, [*arguments, "--no-pictures"])
    assert isinstance(result.exception, CoregistrationError)
    assert "the limit is 2 m" in str(result.exception)
    assert not (tmp_path / "aligned.tif").exists()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["written"] is False
    assert report["found_m"]["east"] == pytest.approx(12, abs=1)
    result = CliRunner().invoke(app, [*arguments, "--no-pictures", "--allow-vertical"], catch_exceptions=False)
    assert result.exit_code == 0
    with rasterio.open(tmp_path / "field.tif") as file:
        assert not file.read()[:2].any()


def test_the_output_grid_is_the_sources_where_finer_and_averaged_where_asked(folder, tmp_path):
    with rasterio.open(folder / "ref.tif") as file:
        heights, profile = file.read(1), file.profile
    coarse = heights[:258, :258].reshape(86, 3, 86, 3).mean(axis=(1, 3))
    profile |= {"width": 86, "height": 86, "transform": profile["transform"] * Affine.scale(3)}
    with rasterio.open(tmp_path / "coarse.tif", "w", **profile) as file:
        file.write(coarse.astype("f4"), 1)
    arguments = ["coregister", str(tmp_path / "coarse.tif"), str(folder / "tba.tif"), "--no-pictures", "--no-check"]
    for grid, size in (("auto", 260), ("reference", 86)):
        out = tmp_path / grid
        result = CliRunner().invoke(app, [*arguments, "-o", str(out), "--grid", grid, "-m", "nuth-kaab"])
        assert result.exit_code == 0
        with rasterio.open(out / "aligned.tif") as file:
            aligned = file.read(1, masked=True)
        assert aligned.shape == (size, size)
        if grid == "reference":
            dh = (coarse - aligned)[10:-10, 10:-10].compressed()
            assert 1.4826 * np.median(np.abs(dh - np.median(dh))) < 3.0


def test_a_geographic_source_is_written_on_its_own_grid(folder, tmp_path):
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    with rasterio.open(folder / "tba.tif") as file:
        values, profile = file.read(1), file.profile
        transform, width, height = calculate_default_transform(
            file.crs, "EPSG:4326", file.width, file.height, *file.bounds
        )
    out = np.full((height, width), -9999.0, "f4")
    reproject(
        values, out, src_transform=profile["transform"], src_crs=profile["crs"], src_nodata=-9999, dst_nodata=-9999,
        dst_transform=transform, dst_crs="EPSG:4326", resampling=Resampling.cubic, tolerance=0.0,
    )  # fmt: skip
    profile |= {"crs": "EPSG:4326", "transform": transform, "width": width, "height": height}
    with rasterio.open(tmp_path / "deg.tif", "w", **profile) as file:
        file.write(out, 1)
    arguments = ["coregister", str(folder / "ref.tif"), str(tmp_path / "deg.tif"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--no-pictures", "--no-check", "--grid", "source"])
    assert result.exit_code == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "grid axes of EPSG:25833" in report["axes"]
    with rasterio.open(tmp_path / "out" / "aligned.tif") as file, rasterio.open(folder / "ref.tif") as reference:
        assert file.crs.to_epsg() == 4326
        assert file.transform.almost_equals(transform)
        aligned, target = file.read(1), reference.read(1)
        back = np.full(target.shape, np.nan, "f4")
        reproject(
            aligned, back, src_transform=transform, src_crs="EPSG:4326", src_nodata=file.nodata, dst_nodata=np.nan,
            dst_transform=reference.transform, dst_crs=reference.crs, resampling=Resampling.cubic, tolerance=0.0,
        )  # fmt: skip
    dh = (target - back)[20:-20, 20:220]
    dh = dh[np.isfinite(dh)]
    assert abs(np.median(dh)) < 0.3  # twice warped by GDAL on the way
    assert 1.4826 * np.median(np.abs(dh - np.median(dh))) < 1.0


def test_a_global_method_writes_no_blocks(folder, tmp_path):
    arguments = [
        "coregister",
        str(folder / "ref.tif"),
        str(folder / "tba.tif"),
        "-o",
        str(tmp_path),
        "-m",
        "nuth-kaab+deramp(1)",
    ]
    result = CliRunner().invoke(app, [*arguments, "--no-pictures", "--no-check"], catch_exceptions=False)
    assert result.exit_code == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["blocks"] == []
    assert report["nmad_m"]["held_out"] is None


PEAK = """
import resource, sys
from pathlib import Path
from orograph.pipeline.coregistration.report import coregister_files, peak_bytes

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

small, large, side = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
coregister_files(small / "ref.tif", small / "tba.tif", large / "warm")
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
report = coregister_files(large / "ref.tif", large / "tba.tif", large / "out").report
print(report["status"], status("VmHWM") - before, peak_bytes((side, side)))
"""


@pytest.mark.slow
def test_a_large_pair_stays_within_the_promised_memory(folder, tmp_path):
    side = 3000
    rows, cols = np.mgrid[0:side, 0:side].astype(np.float32)
    heights = 600 + 60 * np.sin(rows / 17 + cols / 29) + 90 * np.cos(rows / 41 - cols / 23)
    heights += 30 * np.sin(cols / 11) * np.cos(rows / 9)
    profile = {
        "driver": "GTiff", "height": side, "width": side, "count": 1, "crs": "EPSG:25833", "dtype": "float32",
        "transform": Affine(20, 0, 500_000, 0, -20, 8_600_000), "nodata": -9999, "tiled": True,
    }  # fmt: skip
    for name, moved in (("ref.tif", np.roll(heights, (2, -3), (0, 1))), ("tba.tif", heights)):
        moved[700:760, 900:1300] = -9999
        with rasterio.open(tmp_path / name, "w", **profile) as file:
            file.write(moved, 1)
    arguments = [sys.executable, "-c", PEAK, folder, tmp_path, str(side)]
    environment = {**os.environ, **GDAL_ENV}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    status, peak, promised = done.stdout.split()[-3:]
    print(
        f"peak {int(peak) / 4 / side**2:.2f} float32 rasters above imports, promised {int(promised) / 4 / side**2:.2f}"
    )
    assert status == "converged"
    assert int(peak) <= int(promised)
    with rasterio.open(tmp_path / "out" / "aligned.tif") as file, rasterio.open(tmp_path / "ref.tif") as reference:
        window = rasterio.windows.Window(2000, 2000, 500, 500)
        left = file.read(1, window=window) - reference.read(1, window=window)
    assert np.abs(left).max() < 0.1
