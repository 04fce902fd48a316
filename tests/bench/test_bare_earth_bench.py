"""Bare earth at 30 m: real radar forest over lidar, and bare terrain under a map that says trees.

`make bench BENCH=tests/bench/test_bare_earth_bench.py`
"""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from orograph.pipeline.bare_earth.remove import bare_earth
from orograph.pipeline.core.pixel_size import ground_pixel_size_m
from orograph.pipeline.sources.land_cover import LandCover
from orograph.pipeline.sources.sensor import bundled_sensor
from tests.bench.results import record
from tests.support.davos_forest import DavosForest

pytestmark = pytest.mark.bench

NETWORK, EDGES = "bare-earth-30m", "edges"
WRONG_MAPS = {"Norway": "norway30", "Denmark": "dk32", "GLO-30, Armenia": "arm"}


@pytest.fixture(scope="module")
def forest(shared):
    return DavosForest.load(shared)


def test_real_radar_forest(forest):
    sensor = bundled_sensor("srtm")
    errors = {"nothing": forest.error_m(forest.radar_m)}
    for model, more in (
        (NETWORK, {}),
        (EDGES, {"canopy_share": sensor.canopy_share, "footprint_m": sensor.footprint_m}),
    ):
        made = bare_earth(forest.radar_m, forest.pixel_size_m, model, shares=forest.shares, **more)
        errors[model] = forest.error_m(made.heights_m)
    canopy_m = np.median(errors["nothing"][forest.forest])
    errors["one constant, fitted"] = errors["nothing"] - canopy_m * forest.forest
    gains = {}
    for part, here in (("west", forest.west), ("east", ~forest.west), ("all", np.ones_like(forest.west))):
        trees, bare = forest.forest & here, forest.open_terrain & here
        mae = {name: float(np.abs(error[trees]).mean()) for name, error in errors.items()}
        left = {name: float(np.abs(error[bare]).mean()) for name, error in errors.items()}
        gains[part] = {name: 100 * (value / mae["nothing"] - 1) for name, value in mae.items()}
        print(f"\n{part}: {trees.sum()} pixels of forest, {bare.sum()} open; MAE m in forest (change), on open terrain")
        for name, value in mae.items():
            print(f"  {name}: {value:.2f} ({gains[part][name]:+.0f} %), {left[name]:.2f}")
    east = gains["east"]
    record(
        "bare-earth",
        "radar-forest",
        claim="bare earth of real radar forest at 30 m, MAE",
        ours=f"{east[EDGES]:+.0f} % (`edges`)",
        peer=f"{east[NETWORK]:+.0f} %, network with map; {east['one constant, fitted']:+.0f} %, one constant fitted to the truth",
        data="SRTM over lidar, Davos east",
    )
    assert east[EDGES] < east[NETWORK]


def _case(shared, name):
    """Heights, pixel sizes and shares of a DSM of bare terrain and a map with patches of trees."""
    place = "cases/science/04-bare-earth-believes-the-map"
    with rasterio.open(shared(f"{place}/{name}_dsm.tif")) as dataset:
        heights, crs = dataset.read(1, masked=True).filled(np.nan), dataset.crs.to_string()
        affine, shape = dataset.transform, dataset.shape
    size = (abs(affine.a), abs(affine.e)) if abs(affine.a) > 1 else ground_pixel_size_m(affine, shape[0], crs)
    return heights, size, LandCover.of(shared(f"{place}/{name}_lcp.tif")).shares(affine, crs, shape)


def test_bare_terrain_under_a_map_of_trees(shared):
    lowered = {NETWORK: [], EDGES: []}
    for title, name in WRONG_MAPS.items():
        heights, size, patches = _case(shared, name)
        everywhere = np.stack([np.ones_like(heights), np.zeros_like(heights)])
        for kind, shares in (("patches of trees", patches), ("all trees", everywhere)):
            trees = (shares[0] > 0.5) & np.isfinite(heights)
            for model, means in lowered.items():
                if model == NETWORK and kind == "all trees":
                    continue  # lowers more still and takes minutes
                down = (heights - bare_earth(heights, size, model, shares=shares).heights_m)[trees]
                means.append(float(down.mean()))
                print(f"{title}, {kind}, {model}: mean lowering {means[-1]:.2f} m, largest {down.max():.1f} m")
    ours, peer = (f"{min(lowered[model]):.2f} to {max(lowered[model]):.2f} m" for model in (EDGES, NETWORK))
    record(
        "bare-earth",
        "open-terrain",
        claim="bare terrain under a map of trees, mean lowering",
        ours=ours,
        peer=f"{peer}, network with map",
        data="Norway, Denmark, GLO-30; network: patches only",
    )
    assert max(lowered[EDGES]) <= 0.3
