"""Print how often tiles made from SRTM cover their errors by slope and cover, and draw the reliability diagram.

`python -m tests.support.radar_tiles FOLDER [east | RADAR]`: by default the western half of Davos, the only part that anything
was chosen on; `east` is the rest of the scene, for judging.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
import yaml
from rasterio.warp import reproject
from rasterio.windows import Window
from scipy.ndimage import binary_erosion, uniform_filter

from tests.support.davos import slope_deg

SHARED = Path("../shared")
WEST = SHARED / "data/pairs/davos_west_srtm1.tif"
WHOLE = SHARED / "cases/science/03-superres-real-sensor/srtm_davos.tif"
COVER = SHARED / "cases/science/05-bare-earth-real-forest/davos_lc.tif"
TILE = "E4300N2600"
RESOLVERS = ("gdal-cubic", "keys6", "sensor")
SLOPES_DEG = ((0, 5), (5, 15), (15, 30), (30, 45), (45, 90), (30, 90))
TREES, OPEN = 10, 30
PUBLISHED = {"accuracy_m": 3.8, "horizontal_accuracy_m": 4.1}
"""SRTM over Eurasia, doi:10.14358/PERS.72.3.249: 90 % of heights within 6.2 m, of positions within 8.8 m."""


def entry(name, path, **facts):
    return {
        "id": name,
        "title": name,
        "providers": [{"name": name, "url": "https://example.org"}],
        "licence": "CC0-1.0",
        "attribution": name,
        "data": {"kind": "files", "hrefs": [str(path.resolve())]},
        "start": "2000-02-11T00:00:00Z",
        "end": "2012-01-01T00:00:00Z",
        **facts,
    }


def catalogue(folder, radar):
    lidar = {"horizontal_crs": "EPSG:21781", "vertical_frame": "EPSG:5728", "surface": "DTM", "resolution_m": 10}
    space = {"horizontal_crs": "EPSG:4326", "vertical_frame": "EPSG:5773", "surface": "DSM", "resolution_m": 30}
    digest = hashlib.sha256(COVER.read_bytes()).hexdigest()
    cover = {"land_cover": {"path": str(COVER.resolve()), "sha256": digest}}
    entries = [
        entry("lidar", SHARED / "data/dtm/davos_10m.tif", **lidar, thinning="averaged", accuracy_m=0.1),
        entry("radar", radar, **space, **cover, **PUBLISHED, thinning="averaged", sensor="srtm"),
    ]
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump({"sources": entries}))
    return path


def made(folder, radar):
    """Heights and uncertainty of the tile by name, and the transform and CRS of the lidar's."""
    folder.mkdir(parents=True, exist_ok=True)
    described, tiles, grid = catalogue(folder, radar), {}, None
    for source, name in [("lidar", "keys6"), *[("radar", name) for name in RESOLVERS]]:
        store = folder / f"{source}-{name}"
        if not store.exists():
            command = ["orograph", "run", "-c", described, "-s", source, "-t", TILE, "-o", store]
            command += ["--set", f"superres={name}", "--grids-dir", SHARED / "proj-grids", "--workers", "1"]
            subprocess.run([str(part) for part in command], check=True)
        bands = []
        for kind in ("elevation", "uncertainty"):
            (path,) = store.rglob(f"{TILE}_{kind}.tif")
            with rasterio.open(path) as dataset:
                bands.append(dataset.read(1, masked=True).astype(np.float64).filled(np.nan))
                grid = dataset.transform, dataset.crs
        tiles[source if source == "lidar" else name] = bands
    return tiles, grid


def east_of_west(folder):
    """The radar's heights east of the western half, as a file."""
    with rasterio.open(WEST) as dataset:
        border = dataset.bounds.right
    with rasterio.open(WHOLE) as dataset:
        column = round((border - dataset.bounds.left) / dataset.res[0])
        window = Window(column, 0, dataset.width - column, dataset.height)
        profile = dataset.profile | {"width": window.width, "transform": dataset.window_transform(window)}
        heights = dataset.read(1, window=window)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "east.tif"
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(heights, 1)
    return path


def on_tile(path, shape, grid, band=1):
    values = np.zeros(shape, np.uint8)
    with rasterio.open(path) as dataset:
        reproject(
            dataset.read(band), values, src_transform=dataset.transform, src_crs=dataset.crs,
            dst_transform=grid[0], dst_crs=grid[1], resampling=0,
        )  # fmt: skip
    return values


def main(folder, radar=WEST):
    radar = east_of_west(Path(folder)) if radar == "east" else Path(radar)
    tiles, grid = made(Path(folder), radar)
    truth = tiles["lidar"][0]
    cover = on_tile(COVER, truth.shape, grid)
    with rasterio.open(radar) as dataset:
        west, south, east, north = dataset.bounds
    print(f"radar {west:.3f} to {east:.3f} E, {south:.3f} to {north:.3f} N")
    slope = slope_deg(truth)
    known = binary_erosion(np.isfinite(truth) & np.isfinite(tiles["sensor"][0]), iterations=25)
    lakes = uniform_filter((slope < 0.2).astype(np.float64), 5) > 0.2
    open_terrain = known & ~lakes & (cover == OPEN)
    classes = {f"open, {low} to {high}": open_terrain & (slope >= low) & (slope < high) for low, high in SLOPES_DEG}
    classes["open"], classes["forest"] = open_terrain, known & (cover == TREES)
    floor = open_terrain & (uniform_filter(np.nan_to_num(slope, nan=90.0), 7) < 3.0)
    cubic = tiles["gdal-cubic"][0]
    ratios = {}
    for name in RESOLVERS:
        heights, sigma = tiles[name]
        error = heights - truth
        ratios[name] = {key: np.abs(error / sigma)[mask] for key, mask in classes.items() if mask.sum() > 200}
        gain = 100 * (1 - rms((error - np.nanmedian(error[open_terrain]))[open_terrain]) / rms(
            (cubic - truth - np.nanmedian((cubic - truth)[open_terrain]))[open_terrain]
        ))  # fmt: skip
        own, peer = (rms((slope_deg(part) - slope)[open_terrain]) for part in (heights, cubic))
        level = f"{np.median(slope_deg(heights)[floor]):.2f}" if floor.sum() > 50 else "-"
        print(f"{name}: RMSE {gain:+.1f} %, slope {100 * (1 - own / peer):+.1f} %, floor {level} degrees", end=" ")
        print(f"(lidar {np.median(slope[floor]):.2f}, {floor.sum()} pixels)" if floor.sum() > 50 else "")
        for key, ratio in ratios[name].items():
            middle = np.median(error[classes[key]])
            print(
                f"| {name} | {key} | {ratio.size} | {middle:+.1f} | {np.mean(ratio < 1):.0%} | {np.mean(ratio < 1.96):.0%} |"
            )
    draw(ratios, Path(folder) / "reliability.png")


def rms(values):
    return float(np.sqrt(np.nanmean(np.square(values))))


def draw(ratios, path):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from scipy.stats import norm

    nominal = np.linspace(0.05, 0.99, 40)
    width = norm.ppf((1 + nominal) / 2)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), sharey=True, constrained_layout=True)
    for axis, name in zip(axes, ("keys6", "sensor"), strict=True):
        for key, ratio in ratios[name].items():
            axis.plot(nominal, np.searchsorted(np.sort(ratio), width) / ratio.size, label=f"{key}")
        axis.plot([0, 1], [0, 1], color="0.5", lw=0.8, ls="--")
        axis.set(title=f"SRTM to 10 m, {name}", xlabel="nominal coverage")
    axes[0].set_ylabel("observed coverage")
    axes[0].legend(title="cover and slope, degrees", frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
