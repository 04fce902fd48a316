"""Each product beside the GDAL command chain that makes it, CPU seconds in the same run, one thread each; prints JSON.

`python -m tests.bench.formats_against_gdal FOLDER HEIGHTS.tif`: real heights of 2 m, mirrored, as tiles of 10 m.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from orograph.infra.engines.environment import GDAL_ENV, THREAD_ENV

os.environ.update({**GDAL_ENV, **THREAD_ENV, **os.environ})

import numpy as np
import rasterio
import rasterio.shutil

from orograph.pipeline.core.grid import Cell, Tile, windows
from orograph.pipeline.exports.cell import cell_place
from orograph.pipeline.exports.cell_lattice import GEOGRAPHIC_CRS, point_lattice, tiles_of_cell
from orograph.pipeline.exports.geographic_cog import write_geographic
from orograph.pipeline.exports.hgt import sample_cell, write_hgt
from orograph.pipeline.exports.mosaic import Mosaic
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.contours import trace, write_contours
from tests.bench.stream_tile import Ground

CELL = Cell(47, 10)
RUNS = 3
COG_OPTIONS = ("-of", "COG", "-co", "COMPRESS=ZSTD", "-co", "LEVEL=1", "-co", "PREDICTOR=3", "-co", "BLOCKSIZE=512")


def cpu_of(work: Callable[[], object], *, children: bool = False) -> float:
    """CPU seconds of this process, or of the commands it starts; the best of three."""
    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    best = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(who)
        work()
        after = resource.getrusage(who)
        best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return best


def command(*words: str | Path) -> None:
    """Run a GDAL command with our settings."""
    env = {**os.environ, "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE"}
    subprocess.run([str(word) for word in words], check=True, env=env, stdout=subprocess.DEVNULL)


def make_tiles(folder: Path, ground: Ground) -> dict[Tile, Path]:
    """10 m tiles around the cell, of real heights."""
    files = {}
    for tile in sorted(tiles_of_cell(CELL)):
        files[tile] = folder / f"{tile}_elevation.tif"
        if files[tile].exists():
            continue
        row, col = -(tile.north_km + 50) * 100, tile.east_km * 100
        write_tile(files[tile], tile, ground, row, col)
    return files


def write_tile(path: Path, tile: Tile, ground: Ground, row: int, col: int, how: cog.Encoding | None = None) -> None:
    """One tile as COG, window by window."""
    geobox = tile.geobox(10)
    scratch = path.with_suffix(".scratch")
    with cog.scratch(scratch, geobox, encoding=how or cog.Encoding()) as writer:
        for window in windows(geobox.shape.shape, 1024):
            writer.write(window, ground.read(row + window.row, col + window.col, window.height, window.width))
    cog.finish(scratch, path)


def projected_tile(folder: Path, ground: Ground) -> dict[str, float]:
    """A 25 Mpx COG from windows in memory: ours, and GDAL's tiled GeoTIFF plus COG driver in this very library."""
    tile = Tile.parse("E4300N2650")
    heights = np.concatenate(
        [np.concatenate([ground.read(r, c, 1000, 1000) for c in range(0, 5000, 1000)], 1) for r in range(0, 5000, 1000)]
    )
    geobox = tile.geobox(10)

    def ours() -> None:
        with cog.scratch(folder / "s", geobox) as writer:
            for window in windows(heights.shape, 1024):
                writer.write(window, np.ascontiguousarray(heights[window.slices]))
        cog.finish(folder / "s", folder / "ours.tif")

    def gdals() -> None:
        profile = {"driver": "GTiff", "width": 5000, "height": 5000, "count": 1, "dtype": "float32", "nodata": -32768}
        grid = {"crs": "EPSG:3035", "transform": geobox.affine, "tiled": True, "blockxsize": 512, "blockysize": 512}
        with rasterio.open(folder / "t.tif", "w", **profile, **grid) as dataset:
            for window in windows(heights.shape, 1024):
                dataset.write(np.ascontiguousarray(heights[window.slices]), 1, window=window.rasterio)
        options = {"COMPRESS": "ZSTD", "LEVEL": "1", "PREDICTOR": "3", "BLOCKSIZE": "512", "STATISTICS": "YES"}
        rasterio.shutil.copy(
            folder / "t.tif",
            folder / "gdal.tif",
            driver="COG",
            OVERVIEW_RESAMPLING="AVERAGE",
            NUM_THREADS="1",
            **options,
        )

    figures = {"ours": cpu_of(ours), "gdal": cpu_of(gdals)}
    sizes = {name: (folder / f"{name}.tif").stat().st_size / 1e6 for name in ("ours", "gdal")}
    return {**figures, **{f"{name}_mb": size for name, size in sizes.items()}}


def geographic_tile(folder: Path, mosaic: Mosaic, vrt: Path) -> dict[str, float]:
    """3600 x 3600 COG of EPSG:4258 with gdalwarp's averaging and cubic kernels beside it."""
    extent = ("-te", "10", "47", "11", "48", "-ts", "3600", "3600", "-dstnodata", "-32768")
    figures = {"ours": cpu_of(lambda: write_geographic(mosaic, CELL, folder / "g.tif", frame="EPSG:5621"))}
    for kernel in ("average", "bilinear", "cubic"):
        words = ("gdalwarp", "-q", "-overwrite", "-s_srs", "EPSG:3035", "-t_srs", "EPSG:4258", *extent, "-r", kernel)
        figures[f"gdalwarp_{kernel}"] = cpu_of(
            lambda words=words, kernel=kernel: command(*words, *COG_OPTIONS, vrt, folder / f"g_{kernel}.tif"),
            children=True,
        )
    return figures


def hgt(folder: Path, mosaic: Mosaic, vrt: Path) -> dict[str, float]:
    """3601 samples: ours in one go, gdalwarp to the point grid and gdal_translate to SRTMHGT."""
    half = 0.5 / 3600
    extent = [str(value) for value in (10 - half, 47 - half, 11 + half, 48 + half)]

    def ours() -> None:
        write_hgt(folder / "N47E010.hgt", CELL, sample_cell(mosaic, CELL, 1))

    def gdals(kernel: str) -> None:
        (folder / "gdal").mkdir(exist_ok=True)
        grid = ("-te", *extent, "-ts", "3601", "3601", "-dstnodata", "-32768", "-r", kernel)
        points = folder / "points.tif"
        command("gdalwarp", "-q", "-overwrite", "-s_srs", "EPSG:3035", "-t_srs", "EPSG:4326", *grid, vrt, points)
        command("gdal_translate", "-q", "-of", "SRTMHGT", "-ot", "Int16", points, folder / "gdal/N47E010.hgt")

    peers = {f"gdal_{name}": cpu_of(lambda: gdals(name), children=True) for name in ("average", "bilinear")}  # noqa: B023
    return {"ours": cpu_of(ours), **peers}


def contour_lines(folder: Path, mosaic: Mosaic, arc_seconds: int) -> dict[str, float]:
    """25 m contours as GeoPackage of the same float lattice."""
    side = 3600 // arc_seconds + 1
    heights = mosaic.sample(point_lattice(CELL, side))
    half = 0.5 / (side - 1)
    transform = rasterio.Affine(2 * half, 0, 10 - half, 0, -2 * half, 48 + half)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "float32", "crs": GEOGRAPHIC_CRS}
    lattice = folder / "lattice.tif"
    with rasterio.open(lattice, "w", transform=transform, **profile) as dataset:
        dataset.write(heights, 1)
    lines = []

    def ours() -> None:
        found = trace(heights, 25.0)
        path = folder / "c.gpkg"
        path.unlink(missing_ok=True)
        write_contours(found, path, place=cell_place(CELL, side - 1), crs=GEOGRAPHIC_CRS)
        lines.append(len(found.lines))

    def gdals() -> None:
        path = folder / "gdal.gpkg"
        path.unlink(missing_ok=True)
        command("gdal_contour", "-q", "-a", "elevation", "-i", "25", "-f", "GPKG", lattice, path)

    return {"ours": cpu_of(ours), "gdal": cpu_of(gdals, children=True), "lines": lines[-1]}


def registration(folder: Path) -> dict[str, float]:
    """Largest error in metres of a geographic tile of ground known by formula, 50 pixels from its edge."""
    from orograph.pipeline.exports.cell_lattice import pixel_lattice
    from tests.support.formats_world import hills, write_tiles

    place = folder / "hills"
    place.mkdir(exist_ok=True)
    files = write_tiles(place, sorted(tiles_of_cell(CELL)), 10, hills)
    truth = hills(*pixel_lattice(CELL, 3600).project())
    vrt = place / "mosaic.vrt"
    command("gdalbuildvrt", "-q", "-overwrite", vrt, *files.values())
    with Mosaic(files) as mosaic:
        write_geographic(mosaic, CELL, place / "ours.tif", frame="EPSG:5621")
    extent = ("-te", "10", "47", "11", "48", "-ts", "3600", "3600", "-dstnodata", "-32768")
    for kernel in ("bilinear", "average", "cubic"):
        words = ("gdalwarp", "-q", "-overwrite", "-s_srs", "EPSG:3035", "-t_srs", "EPSG:4258", *extent, "-r", kernel)
        command(*words, *COG_OPTIONS, vrt, place / f"gdalwarp_{kernel}.tif")
    errors = {}
    for name in ("ours", "gdalwarp_bilinear", "gdalwarp_average", "gdalwarp_cubic"):
        with rasterio.open(place / f"{name}.tif") as dataset:
            errors[name] = float(np.abs((dataset.read(1) - truth)[50:-50, 50:-50]).max())
    return errors


def codecs(folder: Path, ground: Ground) -> dict[str, dict[str, float]]:
    """Size, writing and reading speed of a 25 Mpx tile by codec."""
    tile, table = Tile.parse("E4300N2650"), {}
    for name, how in {
        "zstd": cog.Encoding(),
        "lerc-zstd 0.005": cog.Encoding("lerc-zstd", 0.005),
        "lerc-zstd 0.01": cog.Encoding("lerc-zstd", 0.01),
        "lerc-zstd 0.05": cog.Encoding("lerc-zstd", 0.05),
    }.items():
        path = folder / "codec.tif"
        started = time.process_time()
        write_tile(path, tile, ground, 0, 0, how)
        written = time.process_time() - started

        def read(path: Path = path) -> None:
            with rasterio.open(path) as dataset:
                for window in windows(dataset.shape, 1024):
                    dataset.read(1, window=window.rasterio)

        table[name] = {
            "mb": path.stat().st_size / 1e6,
            "write_mb_per_cpu_s": 100 / written,
            "read_mb_per_cpu_s": 100 / cpu_of(read),
        }
    return table


def main() -> None:
    """Measure everything and print."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    ground = Ground(Path(sys.argv[2]))
    files = make_tiles(folder, ground)
    vrt = folder / "mosaic.vrt"
    command("gdalbuildvrt", "-q", "-overwrite", vrt, *files.values())
    with Mosaic(files) as mosaic:
        figures = {
            "projected tile, 25 Mpx": projected_tile(folder, ground),
            "geographic tile, 13 Mpx": geographic_tile(folder, mosaic, vrt),
            "HGT, 3601": hgt(folder, mosaic, vrt),
            "contours, 1201": contour_lines(folder, mosaic, 3),
            "contours, 3601": contour_lines(folder, mosaic, 1),
        }
    figures["largest error, m"] = registration(folder)
    figures["codecs"] = codecs(folder, ground)  # type: ignore[assignment]
    print(json.dumps(figures, indent=1, default=lambda value: round(value, 3)))


if __name__ == "__main__":
    main()
