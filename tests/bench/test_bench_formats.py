"""Formats measured: a 1 m tile in bounded memory, and every product beside GDAL's commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bench.results import record

ROOT = Path(__file__).resolve().parents[2]
HEIGHTS = "data/dtm/swissalti3d_2m.tif"

pytestmark = pytest.mark.bench


def measured(module: str, *words: str | Path) -> dict[str, Any]:
    env = {"GDAL_CACHEMAX": "32", **os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-m", f"tests.bench.{module}", *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env)
    print(done.stdout)
    return json.loads(done.stdout)


@pytest.mark.timeout(7200)
def test_memory_is_the_same_for_every_size(shared: Callable[[str], Path], tmp_path: Path) -> None:
    peaks = []
    for size in (5000, 20_000, 50_000):
        figures = measured("stream_tile", str(size), tmp_path / str(size), shared(HEIGHTS))
        peaks.append(figures["peak_above_imports_mb"])
        assert figures["peak_disk_over_final"] <= 2.4
        for path in (tmp_path / str(size)).glob("*.tif"):
            path.unlink()
    assert max(peaks) <= 300
    assert max(peaks) <= 1.15 * min(peaks)


@pytest.mark.timeout(3600)
def test_no_slower_than_gdal(shared: Callable[[str], Path], tmp_path: Path) -> None:
    figures = measured("formats_against_gdal", tmp_path, shared(HEIGHTS))
    for product in (
        "projected tile, 25 Mpx",
        "geographic tile, 13 Mpx",
        "HGT, 3601",
        "contours, 1201",
        "contours, 3601",
    ):
        peers = [
            value for name, value in figures[product].items() if name.startswith("gdal") and not name.endswith("mb")
        ]
        record(
            "exports",
            product,
            claim=f"{product}, CPU time",
            ours=f"{figures[product]['ours']:.2f} s",
            peer=f"{min(peers):.2f} s, GDAL's fastest commands",
            ratio=figures[product]["ours"] / min(peers),
            data="swissALTI3D, mirrored",
        )
        assert figures[product]["ours"] <= min(peers), (product, figures[product])
