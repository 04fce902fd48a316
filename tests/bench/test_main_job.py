"""The main job on one 25 Mpx tile: CPU by stage and peak memory, next to GDAL's commands doing the same work.

Both start from one 10 m terrain model in UTM 32 and DHHN2016 that covers the whole tile, and end with COGs of elevation
and hillshade; ours also writes source index, uncertainty, thumbnail and manifest, and verifies and hashes everything.
"""

import json
import os
import shutil
import sys

import numpy as np
import pytest
from affine import Affine

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.demo.terrain import TerrainField, relief
from tests.bench.results import record
from tests.support.made import source, write_catalogue

pytestmark = pytest.mark.bench

TILE = Tile(4200, 3000)
ROUNDS = 4
"""The first is not counted: it compiles kernels and warms the disk."""


@pytest.fixture(scope="module")
def dtm(tmp_path_factory):
    """A terrain model of 55 x 55 km at 10 m."""
    import rasterio

    folder = tmp_path_factory.mktemp("main")
    west, south = 447_500.0, 5_547_500.0
    spacing, size = 25.0, 5_500
    heights = relief((2_300, 2_300), np.random.default_rng(3), spacing)
    field = TerrainField.through(heights, west, south + size * 10, spacing)
    path = folder / "dtm.tif"
    profile = {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:25832",
        "nodata": -9999,
        "transform": Affine(10, 0, west, 0, -10, south + size * 10),
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "zstd",
        "zstd_level": 1,
        "predictor": 3,
    }
    x = west + (np.arange(size) + 0.5) * 10
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, size, 512):
            rows = np.arange(row, min(row + 512, size))
            y = south + size * 10 - (rows + 0.5) * 10
            dataset.write(field(*np.meshgrid(x, y)), 1, window=((row, row + rows.size), (0, size)))
    return path


def timed(command):
    """CPU seconds of a process by wait4, and its output."""
    read, write = os.pipe()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GDAL_CACHEMAX": "64", "GDAL_NUM_THREADS": "1"}
    actions = [(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)]
    pid = os.posix_spawnp(command[0], command, environment, file_actions=actions)
    os.close(write)
    with os.fdopen(read) as pipe:
        out = pipe.read()
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, command
    return usage.ru_utime + usage.ru_stime, out


def gdal_chain(dtm, folder):
    """gdalwarp, gdal_calc, gdaldem, and COGs with the creation options ours have."""
    bounds = [str(value) for value in TILE.bounds_m]
    options = ("COMPRESS=ZSTD", "LEVEL=1", "BLOCKSIZE=512", "OVERVIEW_RESAMPLING=AVERAGE")
    cog = ["gdal_translate", "-q", "-of", "COG", *(part for option in options for part in ("-co", option))]
    warp = ["gdalwarp", "-q", "-r", "cubic", "-t_srs", "EPSG:3035", "-te", *bounds, "-tr", "10", "10", "-et", "0"]
    calc = ["gdal_calc.py", "--quiet", "-A", f"{folder}/w.tif", f"--outfile={folder}/c.tif", "--calc=A+0.013"]
    steps = {
        "gdalwarp": [*warp, "-dstnodata", "-32768", str(dtm), f"{folder}/w.tif"],
        "gdal_calc": [*calc, "--NoDataValue=-32768"],
        "elevation COG": [*cog, "-co", "PREDICTOR=YES", f"{folder}/c.tif", f"{folder}/e.tif"],
        "gdaldem": ["gdaldem", "hillshade", "-q", "-multidirectional", f"{folder}/c.tif", f"{folder}/h.tif"],
        "hillshade COG": [*cog, f"{folder}/h.tif", f"{folder}/hc.tif"],
    }
    return {name: timed(command)[0] for name, command in steps.items()}


def our_tile(dtm, folder):
    made = source(dtm, id="dtm", horizontal_crs="EPSG:25832", vertical_frame="EPSG:7837")
    catalogue = folder / "catalogue.yaml"
    write_catalogue(catalogue, made)
    places = ["-c", str(catalogue), "-t", TILE.id, "--store", str(folder / "store"), "--grids-dir", str(folder)]
    cpu, out = timed([sys.executable, "-m", "orograph", "run", *places, "--json"])
    (end,) = (json.loads(line) for line in out.splitlines() if '"event": "tile"' in line)
    assert end["status"] == "done", end
    return end["cpu_seconds"], cpu, end["peak_rss_mb"]


def test_one_tile_beside_the_gdal_chain(dtm, tmp_path, capsys):
    if shutil.which("gdalwarp") is None or shutil.which("gdal_calc.py") is None:
        pytest.skip("the GDAL commands are not here (Debian: gdal-bin python3-gdal)")
    modules = "orograph.infra.cli.app, orograph.infra.runs.tile_runner, orograph.infra.runs.run, orograph.infra.engines.local, orograph.pipeline.tile.run, orograph.pipeline.planning.planner"
    shown = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    imports_cpu, kilobytes = timed([sys.executable, "-c", f"import {modules}; {shown}"])
    imports_mb = int(kilobytes) / 1024
    runs = []
    for number in range(ROUNDS):
        folders = [tmp_path / f"{name}{number}" for name in ("gdal", "ours")]
        for folder in folders:
            folder.mkdir()
        chain = gdal_chain(dtm, folders[0])
        stages, cpu, peak = our_tile(dtm, folders[1])
        runs.append((sum(chain.values()), sum(stages.values()), cpu, peak, chain, stages))
        for folder in folders:
            shutil.rmtree(folder)
    runs = runs[1:]
    theirs, ours, process, peak = (float(np.median([run[k] for run in runs])) for k in range(4))
    with capsys.disabled():
        print(f"\nGDAL chain {theirs:.2f} CPU s, ours {ours:.2f} CPU s a tile (ratio {ours / theirs:.2f})")
        print(
            f"whole process {process:.2f} CPU s, imports alone {imports_cpu:.2f}; peak {peak:.0f} MB, imports {imports_mb:.0f}"
        )
        print("GDAL", {name: round(float(np.median([run[4][name] for run in runs])), 2) for name in runs[0][4]})
        print("ours", {name: round(float(np.median([run[5][name] for run in runs])), 2) for name in runs[0][5]})
    record(
        "main-job",
        "tile",
        claim="CPU time of one tile",
        ours=f"{ours:.2f} s",
        peer=f"{theirs:.2f} s, GDAL commands",
        ratio=ours / theirs,
        data="terrain model of 25 Mpx",
    )
    record(
        "main-job",
        "memory",
        claim="peak memory of the process that makes one tile, imports included",
        ours=f"{peak:.0f} MB",
        data="terrain model of 25 Mpx",
    )
    assert ours < theirs
    assert peak < 650
