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
from tests.support.bare_earth_sites import HELD_OUT, Site, ridges
from tests.support.davos_forest import DavosForest
from tests.support.terrain_models import ACCURACY_M, davos, gedtm30_like

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


def test_fusion_of_real_radar_forest_with_a_terrain_model():
    scene = davos()[1]
    sensor = bundled_sensor(scene.sensor)
    seen = {"shares": scene.shares, "canopy_share": sensor.canopy_share, "footprint_m": sensor.footprint_m}
    mae = {"nothing": _mae(scene, scene.dsm_m)}
    mae[EDGES] = _mae(scene, bare_earth(scene.dsm_m, scene.pixel_size_m, EDGES, **seen).heights_m)
    models = [gedtm30_like(scene, seed=seed) for seed in (1, 2)]
    mae["model"] = np.mean([_mae(scene, model.heights_m) for model in models], axis=0)
    terrain = [model._replace(sigma_m=np.full_like(model.sigma_m, ACCURACY_M)) for model in models]
    noise = {"noise_m": sensor.typical_variance**0.5}
    fused = [
        bare_earth(scene.dsm_m, scene.pixel_size_m, "fusion", terrain=one, **seen, **noise).heights_m for one in terrain
    ]
    mae["fusion"] = np.mean([_mae(scene, heights) for heights in fused], axis=0)
    gains = {name: 100 * (value[0] / mae["nothing"][0] - 1) for name, value in mae.items()}
    print(mae)
    record(
        "bare-earth",
        "fusion",
        claim="fusion of real radar forest with a terrain model of GEDTM30's errors, MAE",
        ours=f"{gains['fusion']:+.0f} % (`fusion`)",
        peer=f"{gains['model']:+.0f} %, the terrain model alone; {gains[EDGES]:+.0f} %, edges",
        data="SRTM over lidar, Davos east; terrain model simulated",
    )
    assert mae["fusion"][0] < min(mae["model"][0], mae[EDGES][0])
    assert mae["fusion"][1] < mae["nothing"][1] + 0.05


def _mae(scene, heights_m):
    error = np.abs(scene.errors(heights_m))
    return np.array([error[scene.forest].mean(), error[scene.open_terrain].mean()])


def test_ridges_drawn_as_trees(shared):
    means = []
    for name in HELD_OUT:
        site = Site.load(shared, name)
        for size_px in (1.5, 2.0, 3.0, 4.0, 6.0):
            trees = ridges(site.heights_m, size_px)
            shares = np.stack([trees, np.zeros_like(trees)])
            made = bare_earth(site.heights_m.astype(np.float32), site.pixel_size_m, EDGES, shares=shares, **site.sensor)
            down = (site.heights_m - made.heights_m)[(trees > 0.5) & np.isfinite(site.heights_m)]
            means.append(float(down.mean()))
            print(
                f"{name}, ridges of {30 * size_px:.0f} m: mean lowering {means[-1]:.2f} m, largest {down.max():.1f} m"
            )
    record(
        "bare-earth",
        "ridges",
        claim="bare terrain under a map of ridges as trees, mean lowering",
        ours=f"median {np.median(means):.2f} m, up to {max(means):.2f} m",
        data="GLO-30, Denmark, SRTM; held out",
    )
    assert np.median(means) <= 0.3
