"""Writing a tile takes the same memory whatever its size, and no more than was projected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

ROOT = Path(__file__).resolve().parents[2]
CACHE_MB = 32


def heights(path: Path) -> Path:
    rng = np.random.default_rng(1)
    rough = np.cumsum(np.cumsum(rng.normal(0, 0.2, (1000, 1000)), axis=0), axis=1) / 30
    profile = {"driver": "GTiff", "width": 1000, "height": 1000, "count": 1, "dtype": "float32", "crs": "EPSG:3035"}
    with rasterio.open(path, "w", transform=rasterio.Affine(2, 0, 4e6, 0, -2, 3e6), **profile) as dataset:
        dataset.write((800 + rough).astype(np.float32), 1)
    return path


def stream(size: int, folder: Path, source: Path) -> dict[str, Any]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "GDAL_CACHEMAX": str(CACHE_MB)}
    words = [sys.executable, "-W", "ignore", "-m", "tests.bench.stream_tile", str(size), str(folder), str(source)]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT, env=env)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_tile(tmp_path: Path) -> None:
    source = heights(tmp_path / "heights.tif")
    small, large = (stream(size, tmp_path / str(size), source) for size in (2500, 10_000))
    for figures in (small, large):
        # What GDAL caches, the bench's own resampling (six windows) and the writers' projection.
        resampling_mb = 6 * 4 * 1026**2 / 1e6
        assert figures["peak_above_imports_mb"] <= figures["projected_mb"] + CACHE_MB + resampling_mb
        assert figures["peak_above_imports_mb"] <= 300
        assert figures["peak_disk_over_final"] <= 2.4
        assert figures["left_over"] == ["elevation.tif", "hillshade.tif"]
    assert large["peak_mb"] <= 1.15 * small["peak_mb"]
