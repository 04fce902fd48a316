"""Compare the fusion of a DSM with a terrain model, on real terrain and a simulation of GEDTM30's errors.

`python -m tests.support.terrain_models [SITE ...]` prints a table per site. GEDTM30 itself is not at hand. Its errors are
simulated on the true terrain: blurred by 30 m, a quarter of the canopy left, errors correlated over 150 m whose
RMSE by cover and slope is that of GEDTM30's validation (open lowland 1.5 m, forest 6.7 m, Trentino 7.1 m), stripes of
0.7 m, steps of 0.5 m between analysis tiles, whole decimetres.
"""

from __future__ import annotations

import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.warp import Resampling, reproject
from scipy.ndimage import gaussian_filter

from orograph.pipeline.bare_earth.canopy_edges import lower_by_edges
from orograph.pipeline.bare_earth.terrain_fusion import TerrainModel, lower_by_fusion
from orograph.pipeline.core.pixel_size import ground_pixel_size_m
from orograph.pipeline.sources.sensor import bundled_sensor
from tests.support.davos_forest import DavosForest

SHARED = Path("../shared")
ACCURACY_M = 7.8
"""Standard deviation of the entry in the catalogue, from its authors' GNSS points."""


@dataclass(frozen=True)
class Scene:
    """A DSM over known terrain: truth NaN where unknown, all on one grid; `judged` replaces the error by another grid's."""

    name: str
    dsm_m: np.ndarray
    truth_m: np.ndarray
    canopy_m: np.ndarray
    shares: np.ndarray
    forest: np.ndarray
    open_terrain: np.ndarray
    pixel_size_m: tuple[float, float]
    sensor: str
    error_m: object = None

    def errors(self, heights_m):
        return heights_m - self.truth_m if self.error_m is None else self.error_m(heights_m)


def field(shape, sigma_px, rng):
    """Gaussian noise of unit variance, correlated over some pixels."""
    white = gaussian_filter(rng.standard_normal(tuple(side + 60 for side in shape)), sigma_px)
    return (white / white.std())[30:-30, 30:-30]


def gedtm30_like(scene, *, bias_m=0.0, seed=0, worse=1.0):
    """A terrain model with errors as published for GEDTM30: heights and the true standard deviation of each."""
    rng = np.random.default_rng(seed)
    known = np.isfinite(scene.truth_m)
    weight = gaussian_filter(known.astype(float), 1.0)
    smooth = gaussian_filter(np.where(known, scene.truth_m, 0.0), 1.0) / np.maximum(weight, 1e-6)
    rows, columns = np.gradient(gaussian_filter(np.where(known, scene.truth_m, 0.0), 1.0), *scene.pixel_size_m[::-1])
    slope = np.minimum(np.hypot(rows, columns), 1.5)
    wooded = np.clip(gaussian_filter(scene.shares[0], 1.0), 0.0, 1.0)
    sigma = worse * (1.3 + 3.3 * slope + 3.5 * wooded)
    heavy = np.exp(0.4 * field(smooth.shape, 20.0, rng))
    errors = sigma * heavy / np.exp(0.16) * field(smooth.shape, 2.5, rng)
    column = np.arange(smooth.shape[1])
    errors += 0.7 * np.sin(2 * np.pi * column / 20.0)[None, :] + 0.5 * ((column // 160) % 2)[None, :]
    left = 0.25 * gaussian_filter(scene.canopy_m, 1.5)
    heights = np.round(smooth + left + errors + bias_m, 1)
    return TerrainModel(np.where(known, heights, np.nan).astype(np.float32), sigma.astype(np.float32))


def with_stands(truth_m, pixel_size_m, seed, canopy_m=17.0, share=0.35, patch_px=9.0):
    """Woods as on simulated GLO-30: heights vary by 35 % over 100 m, lower by a quarter at the edge, 80 % is seen."""
    rng = np.random.default_rng(seed)
    woods = field(truth_m.shape, patch_px, rng)
    trees = (woods > np.quantile(woods, 1.0 - share)).astype(np.float64)
    height = canopy_m * np.clip(1.0 + 0.35 * field(truth_m.shape, 100.0 / 30.0, rng), 0.2, None)
    height *= 1.0 - 0.25 * np.clip(4.0 * gaussian_filter(1.0 - trees, 2.0), 0.0, 1.0)
    seen = gaussian_filter(0.8 * trees * height, 13.0 / 30.0)
    return trees, seen


def lisbon(share=0.35, patch_px=9.0, name="Lisbon, GLO-30, simulated stands"):
    with rasterio.open(SHARED / "data/glo30/lisbon_north_pt_glo30_1arcsec_egm2008.tif") as dataset:
        truth = dataset.read(1).astype(np.float64)
        size = ground_pixel_size_m(dataset.transform, dataset.shape[0], dataset.crs.to_string())
    truth = truth[:620, :620]
    trees, seen = with_stands(truth, size, 5, share=share, patch_px=patch_px)
    shares = np.stack([trees, np.zeros_like(trees)]).astype(np.float32)
    dsm = (truth + seen).astype(np.float32)
    return Scene(name, dsm, truth, seen, shares, trees > 0.5, seen < 0.05, size, "glo-30")


def davos():
    forest = DavosForest.load(lambda name: SHARED / name)
    rows, columns = forest.places
    sums, counts = np.zeros(forest.radar_m.shape), np.zeros(forest.radar_m.shape)
    inside = np.isfinite(forest.truth_m)
    place = np.rint(rows[inside]).astype(int), np.rint(columns[inside]).astype(int)
    np.add.at(sums, place, forest.truth_m[inside] - 2.5)
    np.add.at(counts, place, 1)
    truth = np.where(counts >= 3, sums / np.maximum(counts, 1), np.nan)
    trees = np.nan_to_num(forest.shares[0])
    scenes = []
    for name, here in (("west (development)", forest.west), ("east (judged)", ~forest.west)):
        scenes.append(
            Scene(
                f"Davos {name}, SRTM", forest.radar_m, truth, 9.0 * trees, forest.shares, forest.forest & here,
                forest.open_terrain & here, forest.pixel_size_m, "srtm", forest.error_m,
            )
        )  # fmt: skip
    return scenes


def bilbao():
    """Lidar averaged to 30 m; the map from its own canopy and buildings; no sensor noise."""
    grid = {"dst_transform": Affine(30, 0, 499400, 0, -30, 4797200), "dst_crs": "EPSG:25830"}
    planes = {}
    for name in ("bdsm", "cdsm", "dem"):
        with rasterio.open(SHARED / f"data/surface/bilbao_{name}.tif") as dataset:
            values = dataset.read(1, masked=True).filled(np.nan).astype(np.float32)
            values = np.nan_to_num(values) if name != "dem" else values
            for title, plane in ((name, values), (f"{name}_share", (values > 2.0).astype(np.float32))):
                made = np.full((113, 113), np.nan, np.float32)
                reproject(plane, made, src_transform=dataset.transform, src_crs=dataset.crs, src_nodata=np.nan,
                          dst_nodata=np.nan, resampling=Resampling.average, **grid)  # fmt: skip
                planes[title] = made
    truth = planes["dem"].astype(np.float64)
    above = np.maximum(planes["bdsm"], planes["cdsm"])
    shares = np.stack([planes["cdsm_share"], planes["bdsm_share"]])
    dsm = (truth + above).astype(np.float32)
    known = np.isfinite(truth)
    return Scene(
        "Bilbao, lidar DSM", dsm, truth, np.nan_to_num(above), shares, known & (above > 2.0), known & (above < 0.5),
        (30.0, 30.0), "glo-30",
    )  # fmt: skip


def big_tujunga():
    """SRTM over 3DEP in 118 basins, the eastern ones; chaparral of a metre or two counts as open terrain."""
    with rasterio.open(SHARED / "data/srtm/bigtujunga.tif") as dataset:
        dsm = dataset.read(1, masked=True).astype(np.float32).filled(np.nan)
        transform, crs = dataset.transform, dataset.crs
    truth = np.full(dsm.shape, np.nan, np.float32)
    archive = SHARED / "data/pairs/bigtujunga_us_3dep_bare_earth_28m_118_basins.zip"
    for name in zipfile.ZipFile(archive).namelist():
        with rasterio.open(f"zip://{archive}!{name}") as dataset:
            reproject(dataset.read(1), truth, src_transform=dataset.transform, src_crs=dataset.crs, src_nodata=np.nan,
                      dst_transform=transform, dst_crs=crs, dst_nodata=np.nan, init_dest_nodata=False,
                      resampling=Resampling.bilinear)  # fmt: skip
    known = np.isfinite(truth) & np.isfinite(dsm)
    east = np.arange(dsm.shape[1])[None, :] > dsm.shape[1] // 2
    nothing = np.zeros((2, *dsm.shape), np.float32)
    return Scene(
        "Big Tujunga east, SRTM", dsm, truth.astype(np.float64), nothing[0], nothing, known & east, known & east,
        (30.0, 30.0), "srtm",
    )  # fmt: skip


def report(scene, seeds=(1, 2)):
    """Print MAE in forest and on open terrain by method and condition."""
    sensor = bundled_sensor(scene.sensor)
    seen = {
        "canopy_share": 1.0 if sensor.canopy_share is None else sensor.canopy_share,
        "pixel_size_m": scene.pixel_size_m,
        "footprint_m": sum(sensor.sigmas_m) / 2.0,
    }
    noise = {"noise_m": float(np.sqrt(sensor.typical_variance))}
    print(f"\n### {scene.name}: {scene.forest.sum()} pixels of forest, {scene.open_terrain.sum()} open")
    print("| method | forest MAE / RMSE / bias | open MAE | largest lowering |\n|---|---|---|---|")

    def row(title, made, heights=None):
        error = [scene.errors(one) for one in made]
        trees, bare = (
            np.concatenate([one[mask & np.isfinite(one)] for one in error])
            for mask in (scene.forest, scene.open_terrain)
        )
        down = max(float(np.nanmax(scene.dsm_m - one)) for one in made) if heights is None else float("nan")
        print(
            f"| {title} | {np.abs(trees).mean():.2f} / {np.sqrt(np.square(trees).mean()):.2f} / {trees.mean():+.1f} "
            f"| {np.abs(bare).mean():.3f} | {down:.1f} |", flush=True,
        )  # fmt: skip

    row("nothing", [scene.dsm_m])
    row("edges", [lower_by_edges(scene.dsm_m, scene.shares, **seen).heights_m])
    models = [gedtm30_like(scene, seed=seed) for seed in seeds]
    row("terrain model alone", [model.heights_m for model in models], heights=())

    def fused(models, shares, stated=False):
        made = []
        for model in models:
            sigma = model.sigma_m if stated else np.full_like(model.sigma_m, ACCURACY_M)
            made.append(lower_by_fusion(scene.dsm_m, model._replace(sigma_m=sigma), shares, **seen, **noise).heights_m)
        return made

    row("fusion", fused(models, scene.shares))
    row("fusion, errors of the model given", fused(models, scene.shares, stated=True))
    for bias in (-3.0, 3.0):
        biased = [gedtm30_like(scene, seed=seed, bias_m=bias) for seed in seeds]
        row(f"terrain model alone, biased by {bias:+.0f} m", [model.heights_m for model in biased], heights=())
        row(f"fusion, model biased by {bias:+.0f} m", fused(biased, scene.shares))
    row("fusion without a map", fused(models, None))
    worse = [gedtm30_like(scene, seed=seed, worse=2.0) for seed in seeds]
    row("fusion without a map, errors twice as large", fused(worse, None))
    rng = np.random.default_rng(9)
    wrong = (field(scene.dsm_m.shape, 9.0, rng) > 0.4).astype(np.float32)
    row("edges, wrong map", [lower_by_edges(scene.dsm_m, np.stack([wrong, 0 * wrong]), **seen).heights_m])
    row("fusion, wrong map", fused(models, np.stack([wrong, 0 * wrong])))
    everywhere = np.stack([np.ones_like(wrong), 0 * wrong])
    row("fusion, map all trees", fused(models, everywhere))


def bare(scene):
    """The same scene without its canopy."""
    return replace(
        scene,
        name=f"{scene.name}, bare",
        dsm_m=(scene.dsm_m - scene.canopy_m).astype(np.float32),
        canopy_m=0 * scene.canopy_m,
    )


SITES = {
    "davos": davos,
    "lisbon": lambda: [lisbon()],
    "bilbao": lambda: [bilbao()],
    "big-tujunga": lambda: [big_tujunga()],
    "no-edge": lambda: [lisbon(1.0, name="Lisbon, one forest without edges")],
    "few": lambda: [lisbon(0.05, 6.0, name="Lisbon, 5 % of small woods")],
    "bare": lambda: [bare(lisbon())],
}


def main(*names):
    for name in names or SITES:
        for scene in SITES[name]():
            report(scene)


if __name__ == "__main__":
    main(*sys.argv[1:])
