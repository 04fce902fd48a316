"""Bytes and requests of remote sources, next to GDAL's `/vsicurl/` on the same counting server.

    python -m pytest tests/bench/test_remote_sources.py -m bench -s

Tiles have pixels of 50 m, which changes nothing of the blocks that are read and makes the run of all tiles short.
`OROGRAPH_BENCH_MOSAIC=12500x10000` makes a quarter of the mosaic's area.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.warp import transform, transform_bounds
from rasterio.windows import Window, from_bounds

from orograph.pipeline.core.grid import Tile
from tests.bench.results import record
from tests.support.made import source, write_catalogue
from tests.support.range_server import RangeServer

pytestmark = pytest.mark.bench

WIDTH, HEIGHT = map(int, os.environ.get("OROGRAPH_BENCH_MOSAIC", "25000x20000").split("x"))
COMMAND = "make bench BENCH=tests/bench/test_remote_sources.py"
CRS, CORNER = "EPSG:25832", (300_000.0, 5_800_000.0)


def tile_at(crs, x, y):
    (east,), (north,) = transform(crs, "EPSG:3035", [x], [y])
    return Tile(int(east // 50_000) * 50, int(north // 50_000) * 50)


TILE = tile_at(CRS, CORNER[0] + WIDTH * 5, CORNER[1] - HEIGHT * 5)
CELL_TILE = tile_at("EPSG:4326", 8.0, 50.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("remote")


@pytest.fixture(scope="module")
def server(folder):
    (folder / "data").mkdir()
    with RangeServer(folder / "data") as running:
        yield running


@pytest.fixture(scope="module")
def mosaic(folder, server):
    path = folder / "data/mosaic.tif"
    profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 1, "dtype": "float32", "crs": CRS}
    blocks = {"tiled": True, "blockxsize": 512, "blockysize": 512, "bigtiff": "YES", "nodata": -9999.0}
    rng, x = np.random.default_rng(1), np.arange(WIDTH, dtype=np.float32) * 0.01
    with rasterio.open(path, "w", transform=Affine(10, 0, CORNER[0], 0, -10, CORNER[1]), **profile, **blocks) as out:
        for row in range(0, HEIGHT, 512):
            rows = min(512, HEIGHT - row)
            y = (np.arange(row, row + rows, dtype=np.float32) * 0.01)[:, None]
            noise = rng.normal(0, 0.05, (rows, WIDTH)).astype(np.float32)
            out.write(200 + 30 * np.sin(x / 3) + 30 * np.cos(y / 4) + noise, 1, window=Window(0, row, WIDTH, rows))
    return described(folder, "mosaic", f"{server.url}/mosaic.tif", CRS, 10.0)


@pytest.fixture(scope="module")
def cells(folder, server):
    """Four 1-degree COGs of 3,600 pixels."""
    rng = np.random.default_rng(2)
    for lat in (49, 50):
        for lon in (7, 8):
            place, plain = folder / f"data/N{lat}E{lon:03d}.tif", folder / "plain.tif"
            second = 1 / 3600
            where = {
                "crs": "EPSG:4326",
                "transform": Affine(second, 0, lon - second / 2, 0, -second, lat + 1 + second / 2),
            }
            size = {"driver": "GTiff", "width": 3600, "height": 3600, "count": 1, "dtype": "float32", "nodata": -9999.0}
            with rasterio.open(plain, "w", **size, **where) as out:
                out.write(rng.normal(300, 20, (3600, 3600)).astype(np.float32), 1)
            rasterio.shutil.copy(plain, place, driver="COG", compress="DEFLATE", predictor="YES", blocksize=1024)
            plain.unlink()
    href = f"{server.url}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif"
    return described(folder, "cells", {"kind": "cells", "href": href}, "EPSG:4326", 30.0)


def described(folder, name, data, crs, resolution_m):
    data = {"kind": "files", "hrefs": [data]} if isinstance(data, str) else data
    made = source(folder, id=name, data=data, horizontal_crs=crs, resolution_m=resolution_m, sidecars=False)
    path = folder / f"{name}.yaml"
    write_catalogue(path, made)
    return path


class Scratch:
    """Largest disk use of a folder while work goes on, looked at every 20 ms; the node's cache is counted apart."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.most_bytes, self._stop = folder, 0, threading.Event()
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _look(self):
        while not self._stop.wait(0.02):
            used = 0
            with contextlib.suppress(OSError):  # folders go while they are looked at
                for path in self.folder.rglob("*"):
                    used += path.stat().st_blocks * 512
            self.most_bytes = max(self.most_bytes, used)


def run(catalogue, work, *arguments):
    """`orograph run` with its own scratch and cache; counts from its report, and the largest scratch."""
    environment = {**os.environ, "OROGRAPH_SCRATCH": str(work / "scratch"), "OROGRAPH_CACHE_DIR": str(work / "cache")}
    command = [sys.executable, "-m", "orograph", "run", "-c", str(catalogue), "--store", str(work / "store")]
    with Scratch(work / "scratch") as scratch:
        options = ["--pixel-size", "50", "--grids-dir", str(work / "grids"), *arguments]
        subprocess.run([*command, *options], check=True, env=environment, stdout=subprocess.DEVNULL)
    (report,) = (work / "store").rglob("report.json")
    counts = next(iter(json.loads(report.read_text())["reads"].values()))
    cached = sum(path.stat().st_size for path in (work / "cache").rglob("*") if path.is_file())
    return counts, scratch.most_bytes, cached


def gdal(hrefs, tile):
    """Read a tile's window of each file once, as GDAL does it."""
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", VSI_CACHE=False):
        for href in hrefs:
            with rasterio.open(f"/vsicurl/{href}") as dataset:
                bounds = transform_bounds("EPSG:3035", dataset.crs, *tile.bounds_m, densify_pts=21)
                wanted = from_bounds(*bounds, transform=dataset.transform)
                full = Window(0, 0, dataset.width, dataset.height)
                dataset.read(1, window=wanted.intersection(full).round_offsets().round_lengths())


def show(title, requests, size, **more):
    extras = "".join(f", {name} {value}" for name, value in more.items())
    print(f"\n{title}: {requests} GETs, {size / 1e6:.1f} MB{extras}")


def test_one_tile_of_a_mosaic(server, mosaic, folder):
    server.taken()
    gdal([f"{server.url}/mosaic.tif"], TILE)
    theirs = server.taken()
    counts, scratch, cached = run(mosaic, folder / "one", "--tile", TILE.id, "-w", "1")
    ours = server.taken()
    blocks = counts["bytes_needed"]
    show("GDAL, one tile", *theirs)
    show(
        "ours, one tile",
        *ours,
        of_blocks=f"{ours[1] / blocks:.4f}",
        scratch=f"{scratch / 1e6:.1f} MB, {scratch / blocks:.2f} times the blocks",
        cache=f"{cached / 1e6:.1f} MB",
    )
    if WIDTH == 25_000:
        mine, peer = (f"{size / 1e6:.1f} MB in {requests}" for requests, size in (ours, theirs))
        record(
            "remote-sources",
            "bytes",
            ours=f"{mine} requests",
            peer=f"{peer}, GDAL `/vsicurl/`",
            ratio=ours[1] / theirs[1],
            command=COMMAND,
        )
    assert ours[1] <= 1.3 * blocks
    assert scratch <= 1.5 * blocks
    assert ours[0] <= 1.5 * theirs[0]


def test_all_tiles_of_a_mosaic_on_one_node(server, mosaic, folder):
    size = (folder / "data/mosaic.tif").stat().st_size
    server.taken()
    counts, scratch, cached = run(mosaic, folder / "all", "-w", "2")
    ours = server.taken()
    tiles = len(list((folder / "all/store").rglob("manifest.json")))
    show(
        f"ours, {tiles} tiles, 2 workers",
        *ours,
        of_file=f"{ours[1] / size:.3f}",
        from_cache=f"{counts['cache_bytes'] / 1e6:.0f} MB",
        scratch=f"{scratch / 1e6:.0f} MB",
        cache=f"{cached / 1e6:.0f} MB",
    )
    assert ours[1] <= 1.15 * size


def test_requests_for_a_tile_of_cells(server, cells, folder):
    names = [f"{server.url}/N{lat}E{lon:03d}.tif" for lat in (49, 50) for lon in (7, 8)]
    server.taken()
    hit = [name for name in names if _touches(name, CELL_TILE)]
    gdal(hit, CELL_TILE)
    theirs = server.taken()
    run(cells, folder / "cells", "--tile", CELL_TILE.id, "-w", "1")
    ours = server.taken()
    show(f"GDAL, one tile of {len(hit)} cells", *theirs)
    show("ours", *ours)
    assert ours[0] <= 1.5 * theirs[0] + len(names)  # cells that do not exist are asked for, too


def _touches(href, tile):
    west, south, east, north = transform_bounds("EPSG:3035", "EPSG:4326", *tile.bounds_m, densify_pts=21)
    lat, lon = int(href[-10:-8]), int(href[-7:-4])
    return west < lon + 1 and east > lon and south < lat + 1 and north > lat
