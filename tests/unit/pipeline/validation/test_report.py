"""The report of a validation is one page and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from orograph.pipeline.validation import ControlColumns, ValidationOptions, read_control, validate
from orograph.pipeline.validation.report import write_validation

SHARED = Path(__file__).parents[4].parent / "shared"
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
