"""Print SRTM's footprint found from simulated GLO-30 instead of lidar: `python -m tests.support.footprint_by_sensor`.

A Gaussian footprint against heights with a Gaussian footprint of their own is the root of the difference of squares, so the
known footprint of the finer sensor is added in quadrature.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from orograph.pipeline.learning.sensors.characterise import characterise
from orograph.pipeline.superres import resolver
from tests.support.error_sites import GLO_30, SITES, SRTM, lidar, seen


def written(path, heights, size_m):
    rows, columns = heights.shape
    profile = {"driver": "GTiff", "width": columns, "height": rows, "count": 1, "dtype": "float32", "crs": "EPSG:32632"}
    with rasterio.open(path, "w", transform=Affine(size_m, 0, 5e5, 0, -size_m, 5.1e6), **profile) as dataset:
        dataset.write(heights.astype(np.float32), 1)
    return path


def main():
    with tempfile.TemporaryDirectory() as folder:
        for site in SITES[:4]:
            terrain, _ = lidar(site)
            radar = seen(terrain, SRTM, bursts=False, seed=5)
            other, _ = resolver("keys6")(seen(terrain, GLO_30, bursts=False, seed=6).astype(np.float32), factor=3)
            found = characterise(
                written(Path(folder) / "srtm.tif", radar, 30.0), written(Path(folder) / "glo-30.tif", other, 10.0)
            )
            across, along = (float(np.hypot(sigma, GLO_30.footprint_m)) for sigma in found.sigmas_m)
            print(
                f"| {site} | {across:.1f} x {along:.1f} | {found.noise_m:.1f} | {found.noise_per_slope_m:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
