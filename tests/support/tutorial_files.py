"""Files with the names that the tutorials use: small, made, of the same kind as a user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
import yaml
from affine import Affine
from pyproj import Transformer

from orograph.infra.stores.local import LocalStore
from tests.support.made import write_source
from tests.support.service_world import WEST, World, fractal

_EAST_M, _NORTH_M = 4_310_000.0, 2_690_000.0


def write(
    path: Path, heights_m: np.ndarray, pixel_m: float, crs: str = "EPSG:3035", corner: tuple[float, float] | None = None
) -> None:
    """A GeoTIFF of heights; void is NaN."""
    east, north = corner or (_EAST_M, _NORTH_M)
    profile = {
        "driver": "GTiff", "height": heights_m.shape[0], "width": heights_m.shape[1], "count": 1, "dtype": heights_m.dtype,
        "crs": crs, "transform": Affine(pixel_m, 0, east, 0, -pixel_m, north), "tiled": True, "blockxsize": 128, "blockysize": 128,
        **({"nodata": np.nan} if heights_m.dtype == np.float32 else {}),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(heights_m, 1)


def coregistration(folder: Path) -> None:
    """Two models of one mountain, the second 15 m east, 9 m north and 2 m up, and the stable terrain."""
    size, pixel_m = 320, 20.0
    rows, cols = np.mgrid[0:size, 0:size]
    fine = fractal(4 * size, seed=3, low_m=100.0, high_m=1100.0, slope=2.6)
    rng = np.random.default_rng(5)
    from scipy.ndimage import map_coordinates

    def seen(east_m: float, north_m: float, up_m: float) -> np.ndarray:
        at = (rows * 4 + 40 + north_m / pixel_m * 4 * 1.0, cols * 4 + 40 - east_m / pixel_m * 4)
        noise = rng.normal(0, 0.4, (size, size))
        return (map_coordinates(fine, at, order=1, mode="wrap") + up_m + noise).astype(np.float32)

    write(folder / "DEM_2009_ref.tif", seen(0, 0, 0), pixel_m, "EPSG:25833", (512_000.0, 8_670_000.0))
    write(folder / "DEM_1990.tif", seen(15, 9, 2), pixel_m, "EPSG:25833", (512_000.0, 8_670_000.0))
    write(folder / "stable.tif", (rows + cols > 80).astype(np.uint8), pixel_m, "EPSG:25833", (512_000.0, 8_670_000.0))


def bare_earth(folder: Path) -> None:
    """A village on a slope, 2 m."""
    rng = np.random.default_rng(2)
    dsm = fractal(256, seed=4, low_m=80.0, high_m=110.0, slope=3.0)
    for _ in range(40):
        row, col = rng.integers(10, 230, 2)
        dsm[row : row + 6, col : col + 8] += rng.uniform(5, 9)
    write(folder / "dsm.tif", dsm, 2.0, "EPSG:25832", (500_000.0, 5_600_000.0))


def implicit_terrain(folder: Path) -> None:
    """Two kilometres of hills, 10 m, at the point the page asks for."""
    east, north = Transformer.from_crs(4326, 3035, always_xy=True).transform(11.35, 47.1)
    hills = fractal(200, seed=6, low_m=900.0, high_m=1500.0, slope=2.8)
    write(folder / "tile.tif", hills, 10.0, corner=(round(east, -1) - 1000, round(north, -1) + 1000))
    (folder / "points.csv").write_text("lon,lat\n11.35,47.1\n11.352,47.101\n", encoding="utf-8")


def super_resolution(folder: Path) -> None:
    """Decimated hills, 30 m."""
    write(folder / "coarse_30m.tif", fractal(270, seed=8, low_m=500.0, high_m=1200.0, slope=2.6)[::3, ::3].copy(), 30.0)


def vertical_frames(folder: Path) -> None:
    """A German DTM in DHHN2016."""
    write(
        folder / "dtm.tif", fractal(64, seed=9, low_m=40.0, high_m=90.0), 25.0, "EPSG:25832", (320_000.0, 5_640_000.0)
    )


def exports(folder: Path) -> None:
    """A published tile."""
    World(folder / "world", pixel_m=250.0, store=LocalStore(folder / "runs/store")).publish(WEST)


def validation(folder: Path) -> None:
    """A tile that declares its vertical frame, and levelled benchmarks on it."""
    hills = fractal(200, seed=11, low_m=150.0, high_m=450.0, slope=2.8)
    write(folder / "tile_elevation.tif", hills, 10.0, "EPSG:3035+5621", (4_030_000.0, 3_130_000.0))
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(5, 195, (2, 120))
    east, north = 4_030_000.0 + cols * 10 + 5, 3_130_000.0 - rows * 10 - 5
    lon, lat = Transformer.from_crs(3035, 4326, always_xy=True).transform(east, north)
    heights = hills[rows, cols] + rng.normal(0.2, 0.3, rows.size)
    lines = [f"{x:.7f},{y:.7f},{h:.3f}" for x, y, h in zip(lon, lat, heights, strict=True)]
    (folder / "levelling.csv").write_text("\n".join(["lon,lat,height", *lines]) + "\n", encoding="utf-8")


def borders(folder: Path) -> None:
    """The catalogue of the demo with small sources: two nations' DTMs that overlap by a kilometre, the second 3 cm low."""
    sources = folder / "demo-output/sources"
    east, north = 200_000.0, 360_000.0
    write_source(sources / "nl.tif", "EPSG:28992", (east - 3000, north - 2000, east, north + 2000), 25)
    x, y = Transformer.from_crs(28992, 25832, always_xy=True).transform(east, north)
    x, y = round(x, -2), round(y, -2)
    write_source(sources / "de.tif", "EPSG:25832", (x - 1000, y - 2000, x + 2000, y + 2000), 25, offset_m=-0.03)
    said = {
        "providers": [{"name": "Made"}], "licence": "CC0-1.0", "attribution": "made", "surface": "DTM", "accuracy_m": 0.2,
        "resolution_m": 25.0, "thinning": "decimated", "area_deg": [5.0, 50.5, 7.0, 52.0],
    }  # fmt: skip
    frames = {"nl": ("EPSG:28992", "EPSG:5709"), "de": ("EPSG:25832", "EPSG:7837")}
    listed = [
        {"id": f"demo-{name}", "title": name, "data": {"kind": "files", "hrefs": [f"{name}.tif"]},
         "horizontal_crs": crs, "vertical_frame": frame, "priority": 1, **said}
        for name, (crs, frame) in frames.items()
    ]  # fmt: skip
    (sources / "catalogue.yaml").write_text(yaml.safe_dump({"sources": listed}), encoding="utf-8")


def ordinal_regression(folder: Path) -> None:
    """Villages seen from above, half a metre: roofs are brighter, the higher they are."""
    rng = np.random.default_rng(4)
    rows, cols = np.mgrid[0:160, 0:160]
    for place, name in enumerate(("a", "b", "c", "image")):
        hills = 4 * np.sin(rows / 40 + place) + 3 * np.cos(cols / 55)
        roofs = np.zeros(rows.shape)
        for _ in range(14):
            row, col = rng.integers(0, 136, 2)
            roofs[row : row + rng.integers(10, 22), col : col + rng.integers(10, 22)] = rng.uniform(4, 12)
        light = 90 + 6 * hills + 9 * roofs + rng.normal(0, 4, rows.shape)
        image = np.clip(np.stack([light, light * 0.9 + 20 * (roofs == 0), light * 0.8]), 0, 255).astype(np.uint8)
        write(folder / f"{name}_dsm.tif", (60 + hills + roofs).astype(np.float32), 0.5, "EPSG:25832", (5e5, 5.6e6))
        with rasterio.open(folder / f"{name}_dsm.tif") as heights:
            profile = {**heights.profile, "count": 3, "dtype": "uint8", "nodata": None}
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as dataset:
            dataset.write(image)
