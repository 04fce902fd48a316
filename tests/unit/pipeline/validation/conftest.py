"""Fixtures of this folder: a tile with known errors at points, for tests of validation."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine

from tests.support.validation_made import FRAME, NORTH, PIXEL_M, SIZE, WEST, heights_at


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
