"""CPU time to convert text deliveries into COGs, next to gdal_translate.

`make bench BENCH=tests/bench/test_ingest_bench.py`: whole commands, start included. Ours also checks the lattice and each place,
looks at the samples and hashes the result.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.bench.results import record
from tests.support.made import source, terrain, write_catalogue

pytestmark = pytest.mark.bench

WEST, NORTH, PIXEL_M = 4_200_000, 3_050_000, 10


def heights(side):
    """Made terrain in rows of text with centimetres."""
    places = WEST + (np.arange(side) + 0.5) * PIXEL_M, NORTH - (np.arange(side) + 0.5) * PIXEL_M
    return [[f"{value:.2f}" for value in row] for row in terrain(*np.meshgrid(*places)).tolist()]


def write_xyz(path, side):
    with path.open("w") as file:
        for number, row in enumerate(heights(side)):
            y = NORTH - number * PIXEL_M - PIXEL_M / 2
            file.writelines(f"{WEST + 5 + n * PIXEL_M} {y:.0f} {value}\n" for n, value in enumerate(row))


def write_grid(path, side):
    head = (
        f"ncols {side}\nnrows {side}\nxllcorner {WEST}\nyllcorner {NORTH - side * PIXEL_M}\n"
        f"cellsize {PIXEL_M}\nNODATA_value -9999\n"
    )
    path.write_text(head + "\n".join(" ".join(row) for row in heights(side)) + "\n")


def cpu_s(*command):
    """CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(
    ("kind", "name", "side", "write"),
    [("XYZ text", "d.xyz", 2000, write_xyz), ("ASCII grid", "d.asc", 4000, write_grid)],
)
def test_text_into_cogs(kind, name, side, write, tmp_path):
    if shutil.which("gdal_translate") is None:
        pytest.skip("the GDAL commands are not here (Debian: gdal-bin)")
    path = tmp_path / name
    write(path, side)
    listed = write_catalogue(tmp_path / "catalogue.yaml", source(path, id="made"))
    folder = str(tmp_path / "out")
    ours = cpu_s(sys.executable, "-m", "orograph", "ingest", str(path), "-s", "made", "--to", folder, "-c", str(listed))
    options = ("COMPRESS=ZSTD", "LEVEL=1", "PREDICTOR=YES", "BLOCKSIZE=512")
    flags = [part for option in options for part in ("-co", option)]
    cog = str(tmp_path / "peer.tif")
    peer = cpu_s("gdal_translate", "-q", "-ot", "Float32", "-a_srs", "EPSG:3035", "-of", "COG", *flags, str(path), cog)
    size_mb = path.stat().st_size / 1e6
    print(f"\n{kind} of {size_mb:.0f} MB: {ours:.1f} CPU s, gdal_translate {peer:.1f}, ratio {ours / peer:.2f}")
    record(
        "delivered-files",
        name,
        claim=f"{kind} into a COG, CPU time",
        ours=f"{ours:.1f} s, checks included",
        peer=f"{peer:.1f} s, gdal_translate",
        ratio=ours / peer,
        data=f"{side**2 / 1e6:.0f} million heights, {size_mb:.0f} MB",
    )
    assert len(list((tmp_path / "out").rglob("*.tif"))) == 1
