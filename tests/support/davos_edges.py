"""Print the filter's gain over GDAL cubic by distance from trees: `python -m tests.support.davos_edges [east]`.

SRTM over the western half of Davos, the only part that anything was chosen on, or the eastern; open terrain with verges and slopes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
from scipy.ndimage import distance_transform_edt

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import bundled_sensor
from orograph.pipeline.superres import resolver
from tests.support.davos import TREE_LINE_M, WHOLE, Davos, slope_deg
from tests.support.davos_forest import CASE, OPEN, TREES, DavosForest

SHARED = Path("../shared")
BUILT = 50
RINGS_M = ((0, 50), (50, 100), (100, 200), (200, np.inf))
LEVEL_DEG = 0.2


def main(words):
    davos, forest = (kind.load(lambda name: SHARED / name, *more) for kind, *more in ((Davos, WHOLE), (DavosForest,)))
    with rasterio.open(SHARED / CASE / "davos_lc.tif") as dataset:
        cover = dataset.read(1)
    trees_m, built_m = (10.0 * distance_transform_edt(cover != kind) for kind in (TREES, BUILT))
    half = ~forest.west if "east" in words else forest.west
    judged = half & np.isfinite(davos.truth_m) & (cover == OPEN) & (slope_deg(davos.truth_m) >= LEVEL_DEG)
    judged[:20], judged[-20:], judged[:, :20], judged[:, -20:] = False, False, False, False
    filtered = resolver("sensor", sensor=bundled_sensor("srtm"))
    errors = [davos.fine(up, Thinning.AVERAGED) - davos.truth_m for up in (resolver("gdal-cubic"), filtered)]
    classes = {f"{low} to {high:g} m from trees": (trees_m > low) & (trees_m <= high) for low, high in RINGS_M}
    classes["up to 50 m from buildings, over 100 m from trees"] = (built_m <= RINGS_M[0][1]) & (trees_m > 100)
    below = davos.truth_m <= TREE_LINE_M
    classes["below 2,050 m"] = below
    classes["below 2,050 m, over 100 m from trees and buildings"] = below & (trees_m > 100) & (built_m > 100)
    classes["above 2,050 m"], classes["all"] = ~below, np.ones_like(below)
    for name, here in classes.items():
        cubic, ours = (error[judged & here] for error in errors)
        if cubic.size > 300:
            rmse = [float(np.sqrt(np.mean(np.square(error)))) for error in (cubic, ours)]
            gain = 100 * (1 - rmse[1] / rmse[0])
            print(
                f"| {name} | {cubic.size:,} | {np.median(cubic):+.1f} | {rmse[0]:.2f} | {rmse[1]:.2f} | {gain:+.1f} |"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
