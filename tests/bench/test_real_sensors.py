"""Upsampling of real radar heights: gains over GDAL cubic against lidar, open terrain above the tree line.

`make bench BENCH=tests/bench/test_real_sensors.py`: SRTM 1" over Davos. The western half is for development, the eastern
for judging.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import bundled_sensor
from orograph.pipeline.superres import resolver, takes_sensor
from tests.bench.results import record
from tests.support.davos import Davos, slope_deg
from tests.support.davos_forest import DavosForest

pytestmark = pytest.mark.bench

LEVEL_DEG = 0.2
"""Terrain flatter than this is water."""
METHODS = ("bilinear", "keys6", "best-linear", "superres-s", "sensor", "sensor-net")


def gains(davos):
    """Gain over GDAL cubic in RMSE, MAE and slope RMSE by method, percent."""
    cubic = davos.errors(resolver("gdal-cubic"), Thinning.AVERAGED)
    table = {}
    for name in METHODS:
        up = resolver(name, **({"sensor": bundled_sensor("srtm")} if takes_sensor(name) else {}))
        own = davos.errors(up, Thinning.AVERAGED)
        table[name] = [100 * (1 - getattr(own, k) / getattr(cubic, k)) for k in ("rmse_m", "mae_m", "slope_rmse_deg")]
    return table


def test_gains_over_cubic(shared):
    east = Davos.load_east(shared)
    cover = DavosForest.load(shared)
    plains = replace(east, judged=cover.open_terrain & ~cover.west & (slope_deg(east.truth_m) >= LEVEL_DEG))
    parts = {"west": Davos.load(shared), "east": east, "east, all open terrain": plains}
    found = {}
    for name, half in parts.items():
        found[name] = gains(half)
        print(f"\n{name}: {half.judged.sum()} pixels; gains in RMSE, MAE, slope RMSE, %")
        for method, values in found[name].items():
            print(f"  {method}: " + ", ".join(f"{value:+.1f}" for value in values))
    ours, peer, linear = (
        [found[part][method][0] for part in ("east, all open terrain", "east")]
        for method in ("sensor", "superres-s", "best-linear")
    )
    record(
        "real-sensors",
        "radar",
        claim="upsampling real radar heights, RMSE over cubic",
        ours=f"{ours[0]:+.1f}, {ours[1]:+.1f} % (`sensor`)",
        peer=f"{peer[0]:+.1f}, {peer[1]:+.1f} %, network for means; {linear[0]:+.1f}, {linear[1]:+.1f} %, linear filter for means",
        data="SRTM over lidar, Davos east: all open terrain, above trees",
    )
    assert min(ours) > max(0.0, *peer, *linear)
