"""Planning from many files: CPU seconds and memory of whole commands, sizes of job and item, GETs for a collection.

    python -m pytest tests/bench/test_planning.py -m bench -s

`OROGRAPH_BENCH_FILES=400x250` are the columns and rows of 1 km files (100,000 files); 800x500 makes 400,000.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.warp import transform, transform_bounds

from orograph.infra.runs.packed_jobs import packed_jobs
from orograph.infra.runs.request import Request
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from tests.bench.results import record
from tests.support.made import source, write_catalogue
from tests.support.range_server import RangeServer

pytestmark = pytest.mark.bench

COLUMNS, ROWS = map(int, os.environ.get("OROGRAPH_BENCH_FILES", "400x250").split("x"))
COMMAND = "make bench BENCH=tests/bench/test_planning.py"
BEFORE_S = 348.0
"""CPU seconds of the planner that opened each file."""
CRS = "EPSG:25832"
(EAST,), (NORTH,) = transform(CRS, "EPSG:3035", [280_000 + COLUMNS * 500], [5_580_000 + ROWS * 500])
TILE = Tile(int(EAST // 50_000) * 50, int(NORTH // 50_000) * 50).id


def timed(*arguments):
    """CPU seconds, peak MB and output of a command."""
    read, write = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)]
    command = [sys.executable, "-m", "orograph", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # installed packages are compiled
    pid = os.posix_spawn(sys.executable, command, environment, file_actions=actions)
    os.close(write)
    with os.fdopen(read) as pipe:
        out = pipe.read()
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, command
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out


def catalogue_of(folder, name, data):
    made = source(folder, id=name, data=data, horizontal_crs=CRS, resolution_m=100.0)
    path = folder / f"{name}.yaml"
    write_catalogue(path, made)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("planning")


@pytest.fixture(scope="module")
def many(folder):
    """1 km files of 10 x 10 pixels; one is written, the others are it with another tie point."""
    place, (east, north) = folder / "files", (123_456.0, 7_654_321.0)
    place.mkdir()
    with MemoryFile() as memory:
        size = {"driver": "GTiff", "width": 10, "height": 10, "count": 1, "dtype": "float32", "nodata": -9999.0}
        with memory.open(**size, crs=CRS, transform=from_origin(east, north, 100, 100)) as dataset:
            dataset.write(np.full((10, 10), 200, np.float32), 1)
        data = bytearray(memory.getbuffer())
    x, y = (data.find(struct.pack("<d", value)) for value in (east, north))
    for column in range(COLUMNS):
        for row in range(ROWS):
            west, top = 280_000.0 + column * 1000, 5_581_000.0 + row * 1000
            data[x : x + 8], data[y : y + 8] = struct.pack("<d", west), struct.pack("<d", top)
            (place / f"dgm_{west / 1000:.0f}_{top / 1000 - 1:.0f}.tif").write_bytes(data)
    return catalogue_of(folder, "many", {"kind": "files", "hrefs": [str(place / "*.tif")]})


def test_index_and_plans(many, folder):
    asked = ["-c", many, "--store", folder / "store"]
    print(f"\n{COLUMNS * ROWS} files; CPU s and peak MB of whole commands")
    for title, command in {
        "start of the command": ["--version"],
        "first index": ["sources", "index", "many", *asked],
        "the same again": ["sources", "index", "many", *asked],
        "plan of one tile": ["plan", *asked, "--tile", TILE, "--pixel-size", "50", "--json"],
        "plan of all tiles": ["plan", *asked, "--pixel-size", "50", "--json"],
    }.items():
        cpu_s, peak_mb, out = timed(*command)
        tiles = f", {len(json.loads(out)['tiles'])} tiles" if "plan" in title else ""
        print(f"{title}: {cpu_s:.2f} s, {peak_mb:.0f} MB{tiles}")
        if title == "plan of one tile" and COLUMNS * ROWS == 100_000:
            record(
                "planning",
                "planning",
                ours=f"{cpu_s:.1f} CPU s",
                peer="348 CPU s without an index",
                ratio=cpu_s / BEFORE_S,
                command=COMMAND,
            )


def test_sizes_of_job_and_item(many, folder):
    settings = RunSettings(store=str(folder / "store"), grids_dir=folder / "grids")
    planned = Request(many, tiles=(TILE,)).plan(ProcessingSettings(pixel_size_m=50.0), settings)
    (packed,) = packed_jobs(LocalStore(folder / "store"), planned.jobs)
    asked = ["-c", many, "--store", folder / "store", "--pixel-size", "50", "--grids-dir", folder / "grids"]
    cpu_s, peak_mb, _ = timed("run", *asked, "--tile", TILE, "-w", "1")
    items = [path.stat().st_size for path in (folder / "store").rglob("*.json") if _is_item(path)]
    job_bytes, item_bytes = len(pickle.dumps(packed)), max(items)
    print(f"\n{packed.sources[0].file_count} files: job {job_bytes / 1e3:.1f} kB, item {item_bytes / 1e3:.1f} kB")
    print(f"run of the tile: {cpu_s:.1f} CPU s, {peak_mb:.0f} MB")
    assert max(job_bytes, item_bytes) <= 20_000


def _is_item(path: Path) -> bool:
    document = json.loads(path.read_text())
    return isinstance(document, dict) and document.get("type") == "Feature"


def test_gets_for_a_static_collection(folder):
    """300 items in four tiles; each document is read once, whatever the number of tiles."""
    place = folder / "stac"
    place.mkdir()
    shape = {
        "driver": "GTiff",
        "width": 10,
        "height": 10,
        "count": 1,
        "dtype": "float32",
        "nodata": -9999.0,
        "crs": CRS,
    }
    links = []
    (east,), (north,) = transform("EPSG:3035", CRS, [4_100_000], [3_100_000])  # the corner of four tiles
    for number in range(300):
        west, top = east - 10_000 + number % 20 * 1000, north - 6_500 + number // 20 * 1000
        with rasterio.open(place / f"{number}.tif", "w", **shape, transform=from_origin(west, top, 100, 100)) as out:
            out.write(np.full((1, 10, 10), 200, np.float32))
        bbox = transform_bounds(CRS, "EPSG:4326", west, top - 1000, west + 1000, top)
        item = {"type": "Feature", "id": str(number), "bbox": bbox, "geometry": None, "links": []}
        (place / f"{number}.json").write_text(json.dumps({**item, "assets": {"data": {"href": f"{number}.tif"}}}))
        links.append({"rel": "item", "href": f"{number}.json"})
    (place / "collection.json").write_text(json.dumps({"type": "Collection", "links": links}))
    area = ",".join(
        map(str, transform_bounds(CRS, "EPSG:4326", east - 9_000, north - 7_000, east + 9_000, north + 7_000))
    )
    with RangeServer(place) as server:
        catalogue = catalogue_of(folder, "stac", {"kind": "stac", "href": f"{server.url}/collection.json"})
        asked = ["-c", catalogue, "--store", folder / "store-stac", "--pixel-size", "50", "--area", area, "--json"]
        planned = json.loads(timed("plan", *asked)[2])["tiles"]
        print(f"\n300 items, {len(planned)} tiles: {server.counts['GET']} GETs, {server.counts['HEAD']} HEADs")
        assert server.counts["GET"] <= 302
