"""The demo's picture reads its products at an eighth of their size."""

import numpy as np
import rasterio
from affine import Affine

from orograph.pipeline.demo.picture import _read


def test_products_are_reduced_and_voids_marked(tmp_path):
    path = tmp_path / "elevation.tif"
    heights = np.kron(np.arange(4, dtype=np.float32).reshape(2, 2), np.ones((8, 8), np.float32))
    heights[:8, :8] = -32768.0
    profile = {"driver": "GTiff", "width": 16, "height": 16, "count": 1, "dtype": "float32", "nodata": -32768.0}
    with rasterio.open(path, "w", **profile, transform=Affine(10, 0, 0, 0, -10, 0)) as file:
        file.write(heights, 1)
    reduced = _read(path, "elevation")
    assert np.isnan(reduced[0, 0])
    assert reduced.ravel()[1:].tolist() == [1.0, 2.0, 3.0]
