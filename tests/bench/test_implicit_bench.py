"""Implicit terrain against its goals: error and bytes at given parameters, CPU time to fit, and the step at seams.

`make bench BENCH=tests/bench/test_implicit_bench.py`
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from orograph.pipeline.implicit import wavelets
from orograph.pipeline.implicit.fit import FitOptions, Kind, fit_model, halo_px_needed
from orograph.pipeline.implicit.model import ImplicitModel
from orograph.pipeline.implicit.tiling import read_heights
from tests.bench.results import record

pytestmark = pytest.mark.bench
FOUND: dict[tuple[Kind, int], str] = {}
"""Error and size by kind and parameters, to set one kind against the other."""


@pytest.fixture(scope="module")
def centre(shared) -> tuple[np.ndarray, GeoBox]:
    heights, geobox = read_heights(shared("data/srtm/bigtujunga.tif"))
    return heights[65:577, 342:854], geobox[65:577, 342:854]


@pytest.mark.parametrize(
    ("kind", "parameters", "rmse_m", "most_bytes"),
    [
        (Kind.LATTICE, 15_625, 4.68, 23_000),
        (Kind.ADAPTIVE, 15_625, 4.0, 22_000),
        (Kind.LATTICE, 65_536, 1.4, 80_000),
        (Kind.ADAPTIVE, 65_000, 1.2, 60_000),
    ],
)
def test_error_bytes_and_time(
    kind: Kind, parameters: int, rmse_m: float, most_bytes: int, centre: tuple[np.ndarray, GeoBox], tmp_path: Path
) -> None:
    heights, geobox = centre
    for cached in (wavelets._synthesis, wavelets._analysis, wavelets._details):
        cached.cache_clear()
    started = time.process_time()
    model = fit_model(heights, geobox, FitOptions(kind, parameters))
    cold_s = time.process_time() - started
    started = time.process_time()
    model = fit_model(heights, geobox, FitOptions(kind, parameters))
    warm_s = time.process_time() - started
    size = model.save(tmp_path / "m.safetensors")
    read = ImplicitModel.load(tmp_path / "m.safetensors")
    rows, cols = heights.shape
    surface = read.field.grid((np.arange(rows) + 0.5) / rows, (np.arange(cols) + 0.5) / cols)
    rmse = float(np.sqrt(np.mean((surface - heights) ** 2)))
    print(
        f"\n{kind} {read.field.parameters}: RMSE {rmse:.3f} m, {size} bytes, {cold_s:.2f} s cold, {warm_s:.2f} s warm"
    )
    FOUND[kind, parameters] = f"{rmse:.2f} m, {size:,} bytes"
    lattice = FOUND.get((Kind.LATTICE, 15_625))
    if (kind, parameters) == (Kind.ADAPTIVE, 15_625) and lattice:
        record(
            "implicit-terrain",
            "adaptive",
            claim="implicit terrain of 15,625 parameters, RMSE and file",
            ours=f"{FOUND[kind, parameters]} (`adaptive`)",
            peer=f"{lattice}, uniform lattice",
            data='SRTM 1", 512 x 512 pixels',
        )
        record(
            "implicit-terrain",
            "fit",
            claim="implicit terrain of 15,625 parameters, CPU time to fit",
            ours=f"{cold_s:.2f} s, {warm_s:.2f} s the next time",
            data='SRTM 1", 512 x 512 pixels',
        )
    assert read.field.parameters <= parameters
    assert rmse <= rmse_m
    assert size <= most_bytes
    assert cold_s < 1.0


def test_shared_border_within_the_goal(shared, tmp_path: Path) -> None:
    heights, geobox = read_heights(shared("data/srtm/bigtujunga.tif"))
    options = FitOptions(Kind.ADAPTIVE, 15_625)
    halo = halo_px_needed((512, 512), options)
    wide = heights[65 - halo : 577 + halo, 342 - halo : 854 + halo]
    model = fit_model(wide, geobox[65:577, 342:854], options, halo_px=halo)
    size = model.save(tmp_path / "m.safetensors")
    print(
        f"\nadaptive, border shared: RMSE {model.statistics.rmse_m} m, {size} bytes, {model.field.parameters} parameters"
    )
    assert model.statistics.rmse_m <= 4.0
    assert size <= 22_000
    assert model.field.parameters <= 15_625


@pytest.mark.parametrize("kind", [Kind.LATTICE, Kind.ADAPTIVE])
def test_seams(kind: Kind, shared) -> None:
    heights, geobox = read_heights(shared("data/srtm/bigtujunga.tif"))
    n = 256
    options = FitOptions(kind, 15_625 // 4)
    halo = halo_px_needed((n, n), options)

    def tile(row: int, col: int) -> ImplicitModel:
        part = heights[row - halo : row + n + halo, col - halo : col + n + halo]
        return fit_model(part, geobox[row : row + n, col : col + n], options, halo_px=halo)

    west, east = tile(64, 300), tile(64, 300 + n)
    alone = fit_model(heights[64 : 64 + n, 300 : 300 + n], geobox[64 : 64 + n, 300 : 300 + n], options)
    y = np.linspace(west.bounds[1], west.bounds[3], 5001)
    a, b = west.derivatives(np.full_like(y, west.bounds[2]), y), east.derivatives(np.full_like(y, east.bounds[0]), y)
    steps = {name: float(np.abs(getattr(a, name) - getattr(b, name)).max()) for name in ("height", "du", "dv", "duu")}
    print(
        f"\n{kind}: steps {steps}, RMSE {west.statistics.rmse_m} m with, {alone.statistics.rmse_m} m without a shared border"
    )
    assert set(steps.values()) == {0.0}
