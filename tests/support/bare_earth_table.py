"""Print the tables of bare earth by edges: `python -m tests.support.bare_earth_table [forest|wrong|stands|town ...]`."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

import numpy as np
from rasterio.fill import fillnodata
from scipy.ndimage import gaussian_filter, map_coordinates

from orograph.pipeline.bare_earth.remove import bare_earth, opening_mask
from orograph.pipeline.sources.sensor import bundled_sensor
from orograph.pipeline.superres.sensor.resolver import SensorFilter
from tests.support.bare_earth_sites import DEVELOPMENT, HELD_OUT, SRTM, Site, Town, patches, ridges, stands
from tests.support.davos import SHIFT_M
from tests.support.davos_forest import DavosForest

RIDGES_PX = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
PATCHES_PX = (2.0, 4.0, 6.0, 10.0)
PLANE_PX = 4.0
"""Width of the planes beside the step of forest edges; chosen on Davos' west."""
FACTOR = 3
SRTM_ERROR_M = 5.5


@lru_cache(maxsize=1)
def _forest():
    return DavosForest.load(_shared)


def _shared(relative):
    return Path("../shared") / relative


def forest():
    """Real radar forest: edges and their peers, then the same after the filter for the sensor."""
    site = _forest()
    print(
        "| method | west | east | all | east, filtered: MAE | largest lowering | open terrain, east |\n|---|"
        + "---|" * 6
    )
    parts = {"west": site.west, "east": ~site.west, "all": np.ones_like(site.west)}
    for name, heights in _forest_methods(site):
        error = site.error_m(heights)
        cells = ["/".join(_forest_figures(error[site.forest & here])) for here in parts.values()]
        filtered = np.abs(_filtered_error(site, heights)[site.forest & ~site.west]).mean()
        largest, bare = (site.radar_m - heights).max(), np.abs(error[site.open_terrain & ~site.west]).mean()
        print(f"| {name} | " + " | ".join(cells) + f" | {filtered:.2f} | {largest:.1f} | {bare:.2f} |", flush=True)
    made = bare_earth(site.radar_m, site.pixel_size_m, "edges", shares=site.shares, **SRTM)
    sigma = map_coordinates(made.sigma_m.astype(np.float64), site.places, order=1)
    for name, here in list(parts.items())[:2]:
        trees = site.forest & here
        ratio = (np.abs(site.error_m(made.heights_m)) / np.hypot(sigma, SRTM_ERROR_M))[trees]
        print(f"{name}: bands contain {np.mean(ratio < 1):.0%} and {np.mean(ratio < 2):.0%}")
    _print_sensitivity(site)


def _print_sensitivity(site):
    """How the gain in the east depends on the sensor model."""
    east = site.forest & ~site.west
    nothing = np.abs(site.error_m(site.radar_m)[east]).mean()
    for name, values in (("canopy_share", (0.4, 0.7, 0.85, 1.0)), ("footprint_m", (0.0, 20.0, 45.0))):
        for value in values:
            sensor = SRTM | {name: value}
            made = bare_earth(site.radar_m, site.pixel_size_m, "edges", shares=site.shares, **sensor)
            gain = 100 * (np.abs(site.error_m(made.heights_m)[east]).mean() / nothing - 1)
            print(f"{name} {value}: {gain:+.0f} %")


def _forest_figures(error):
    return f"{np.abs(error).mean():.2f} ", f" {np.sqrt(np.square(error).mean()):.2f} ", f" {error.mean():+.1f}"


def _forest_methods(site):
    radar, trees = site.radar_m, np.nan_to_num(site.shares[0])
    yield "nothing", radar
    for width in (120.0, 500.0):
        mask = opening_mask(radar, 30.0, widest_m=width)
        opened = fillnodata(radar.copy(), (~mask).astype(np.uint8), max_search_distance=100)
        yield f"opening, {width:.0f} m", np.minimum(opened, radar)
    yield "network with map", bare_earth(radar, site.pixel_size_m, "bare-earth-30m", shares=site.shares).heights_m
    step = step_beside_planes(radar, site.shares)
    yield f"one constant from forest edges, {step:.1f} m", radar - np.float32(step) * trees
    yield "one constant for the sensor, 0.55 x 17 m", radar - np.float32(0.55 * 17) * trees
    fitted = np.median(site.error_m(radar)[site.forest])
    yield f"one constant fitted to the whole site, {fitted:.1f} m", radar - np.float32(fitted) * trees
    yield "**`edges`**", bare_earth(radar, site.pixel_size_m, "edges", shares=site.shares, **SRTM).heights_m


def _filtered_error(site, heights):
    """Errors of heights that the sensor's filter took to 10 m."""
    made, _ = SensorFilter(bundled_sensor("srtm"), 0.0)(
        heights.astype(np.float32), factor=FACTOR, pixel_size_m=site.pixel_size_m
    )
    places = [(place + 0.5) * FACTOR - 0.5 for place in site.places]
    return map_coordinates(made.astype(np.float64), places, order=1, mode="nearest") + SHIFT_M[2] - site.truth_m


def step_beside_planes(heights_m, shares):
    """Least-squares step of trees after local planes are taken from heights and shares."""
    known = np.isfinite(heights_m) & np.isfinite(shares).all(axis=0)
    rows, columns = np.mgrid[: heights_m.shape[0], : heights_m.shape[1]].astype(np.float64)
    weight = np.maximum(_mean(known.astype(np.float64)), 1e-9)
    rows, columns = (at - _mean(at * known) / weight for at in (rows, columns))
    seen, *drawn = (_beside_plane(plane, known, rows, columns)[known] for plane in (heights_m, *shares))
    return max(float(np.linalg.lstsq(np.stack(drawn, axis=1), seen, rcond=None)[0][0]), 0.0)


def _mean(values):
    return gaussian_filter(values, PLANE_PX, truncate=3, mode="constant")


def _beside_plane(values, known, rows, columns):
    basis = np.stack([np.ones_like(rows), rows, columns]) * known
    seen = np.where(known, np.nan_to_num(values), 0.0).astype(np.float64)
    normal = np.stack([[_mean(a * b) for b in basis] for a in basis]).transpose(2, 3, 0, 1)
    right = np.stack([_mean(a * seen) for a in basis], axis=-1)
    solved = np.linalg.solve(normal + 1e-9 * np.eye(3), right[..., None])[..., 0]
    return seen - np.einsum("krc,rck->rc", basis, solved)


def wrong():
    """Mean and largest lowering of bare terrain below maps that are wrong, and the stated error there."""
    print("| terrain | map | mean lowering m | largest m | within one stated error |\n|---|---|---|---|---|")
    for name in (*DEVELOPMENT, *HELD_OUT):
        site = Site.load(_shared, name)
        drawn = {"all trees": np.ones(site.heights_m.shape, np.float32)}
        drawn |= {f"random patches of {size:.0f} px": patches(site.heights_m.shape, size) for size in PATCHES_PX}
        drawn |= {f"ridges, {30 * size:.0f} m": ridges(site.heights_m, size) for size in RIDGES_PX}
        for kind, trees in drawn.items():
            here = (trees > 0.5) & np.isfinite(site.heights_m)
            made = _by_edges(site, site.heights_m, trees)
            down = (site.heights_m - made.heights_m)[here]
            within = np.mean(down <= np.maximum(made.sigma_m[here], 0.05))
            print(f"| {name} | {kind} | {down.mean():.2f} | {down.max():.1f} | {within:.0%} |", flush=True)


def _by_edges(site, heights, trees):
    shares = np.stack([trees, np.zeros_like(trees)])
    return bare_earth(heights.astype(np.float32), site.pixel_size_m, "edges", shares=shares, **site.sensor)


def simulated_stands():
    """Stands of 15 m on bare terrain, of which the sensor sees its share through its footprint."""
    print("| terrain | stands | nothing | edges | one constant fitted | open: nothing | edges |\n|---|" + "---|" * 6)
    for name in ("Norway", "Lisbon"):
        site = Site.load(_shared, name)
        sigmas = [site.sensor["footprint_m"] / size for size in reversed(site.pixel_size_m)]
        noise = gaussian_filter(np.random.default_rng(2).normal(0, 1, site.heights_m.shape), 0.8)
        for size in (4.0, 10.0):
            woods = patches(site.heights_m.shape, size, seed=5)
            canopy = gaussian_filter(site.sensor["canopy_share"] * stands(woods, 15.0, 3), sigmas)
            seen = site.heights_m + canopy + 0.4 * noise / noise.std()
            made = _by_edges(site, seen, woods).heights_m
            known = np.isfinite(site.heights_m)
            under, bare = (woods > 0.5) & known, (woods < 0.5) & known
            constant = seen - np.median((seen - site.heights_m)[under]) * woods
            errors = [np.abs(heights - site.heights_m) for heights in (seen, made, constant)]
            cells = [*(error[under].mean() for error in errors), *(error[bare].mean() for error in errors[:2])]
            print(f"| {name} | {size:.0f} px | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |", flush=True)


def town():
    """Bilbao: covered and open pixels."""
    site = Town.load(_shared)
    made = bare_earth(site.heights_m, 30.0, "edges", shares=site.shares)
    known = np.isfinite(site.terrain_m)
    covered, bare = known & (site.above_m > 2.0), known & (site.above_m < 0.5)
    error = np.abs(made.heights_m - site.terrain_m)
    ratio = (error / np.maximum(made.sigma_m, 0.05))[covered]
    before, after = site.above_m[covered].mean(), error[covered].mean()
    print(f"covered {before:.2f} -> {after:.2f} m ({100 * (after / before - 1):+.0f} %)")
    print(f"open {site.above_m[bare].mean():.3f} -> {error[bare].mean():.3f} m")
    print(f"bands contain {np.mean(ratio < 1):.0%} and {np.mean(ratio < 2):.0%}")


TABLES = {"forest": forest, "wrong": wrong, "stands": simulated_stands, "town": town}


def main(names):
    for name in names or TABLES:
        TABLES[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
