"""Gains on terrain the fold weights never saw: a table for both modes, next to OpenDEM's published weights.

`OROGRAPH_SUPERRES` names other weights (a bundled name or a file, separated by commas) than the fold's.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orograph.pipeline.learning.superres.evaluate import evaluate, line_up, tiles_of
from orograph.pipeline.learning.superres.opendem_vdsr import OpenDemVdsr
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.best_linear import NAME as BEST_LINEAR
from tests.bench.results import record

pytestmark = pytest.mark.bench

FOLD = "superres-s-fold"
TERRAIN = (
    ("tirol-kot, 10 m by decimation, 4 phases", "dtm/tirol_kot_5m.tif", 10.0, "decimation"),
    ("tirol-kot, 10 m by 2 x 2 mean", "dtm/tirol_kot_5m.tif", 10.0, "mean"),
    ("swissalti3d, 10 m", "dtm/swissalti3d_10m.tif", None, "decimation"),
    ("slovenia, 5 m by mean", "dtm/slovenia_1m.tif", 5.0, "mean"),
)


@pytest.mark.parametrize("terrain", TERRAIN, ids=lambda terrain: terrain[0].partition(",")[0] + "-" + terrain[3])
@pytest.mark.parametrize("thinning", list(Thinning))
def test_held_out_terrain(thinning, terrain, shared):
    label, path, reference_m, by = terrain
    opendem = shared("data/models/opendem_vdsr_x3.h5") if thinning is Thinning.DECIMATED else None
    print(f"\n| {thinning.value} | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 1))
    for name in os.environ.get("OROGRAPH_SUPERRES", FOLD).split(","):
        tiles = tiles_of(shared(f"data/{path}"), 3, reference_m, by)
        methods, _ = line_up([name], thinning, 3, ensemble=True, opendem=opendem)
        short = Path(name).stem
        wanted = {key: up for key, up in methods.items() if key.startswith((short, "opendem"))}
        rows = evaluate(tiles, wanted, 3, thinning)["methods"]
        print(f"| {short}: {label} | {_row(rows, short)} |", flush=True)
        assert rows[short]["gain_rmse_percent"] > 0.0


@pytest.mark.parametrize("thinning", list(Thinning))
def test_single_pass_next_to_peers(thinning, shared):
    label, path, reference_m, by = TERRAIN[0]
    methods = {name: resolver(name) for name in (FOLD, BEST_LINEAR)}
    if thinning is Thinning.DECIMATED:
        methods["opendem"] = OpenDemVdsr.read(shared("data/models/opendem_vdsr_x3.h5"))
    rows = evaluate(tiles_of(shared(f"data/{path}"), 3, reference_m, by), methods, 3, thinning)["methods"]
    gains = {name: f"{rows[name]['gain_rmse_percent']:+.1f} %" for name in methods}
    print(f"\n{label}, {thinning.value}: {gains}")
    opendem = f"{gains['opendem']}, OpenDEM's network; " if "opendem" in gains else ""
    record(
        "super-resolution",
        f"{thinning.value}-x3",
        claim=f"super-resolution x3, {thinning.value} lidar, RMSE over cubic",
        ours=gains[FOLD],
        peer=f"{opendem}{gains[BEST_LINEAR]}, best linear filter",
        data="tirol-kot, held out",
    )
    assert rows[FOLD]["gain_rmse_percent"] > rows[BEST_LINEAR]["gain_rmse_percent"]


COLUMNS = (
    "RMSE / MAE gain %",
    "ensemble",
    "slope gain %, ensemble",
    "worse blocks, gated %",
    "68 / 95 % bands cover",
    "OpenDEM",
)


def _row(rows, short):
    def gains(name):
        if name not in rows:
            return "-"
        return f"{rows[name]['gain_rmse_percent']:+.1f} / {rows[name]['gain_mae_percent']:+.1f}"

    own, x8 = rows[short], rows[f"{short} x8"]
    gated = rows.get(f"{short} gated", own)
    cover = own["coverage_percent"]
    return " | ".join(
        (
            gains(short),
            gains(f"{short} x8"),
            f"{x8['gain_slope_rmse_percent']:+.1f}",
            f"{own['blocks_worse_percent']:.1f}, {gated['blocks_worse_percent']:.1f}",
            f"{cover['68']:.1f} / {cover['95']:.1f}",
            gains("opendem-vdsr"),
        )
    )
