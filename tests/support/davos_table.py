"""Print gains over GDAL cubic on the western half of Davos: `python -m tests.support.davos_table [names]`."""

from __future__ import annotations

import sys
from pathlib import Path

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import bundled_sensor
from orograph.pipeline.superres import resolver, takes_sensor
from tests.support.davos import Davos

METHODS = ("bilinear", "keys6", "lanczos3", "best-linear", "superres-xs", "superres-s", "sensor")


def main(names):
    davos = Davos.load(lambda relative: Path("../shared") / relative)
    cubic = davos.errors(resolver("gdal-cubic"), Thinning.AVERAGED)
    for name in names or METHODS:
        up = resolver(name, **({"sensor": bundled_sensor("srtm")} if takes_sensor(name) else {}))
        own = davos.errors(up, Thinning.AVERAGED)
        gains = (100 * (1 - getattr(own, k) / getattr(cubic, k)) for k in ("rmse_m", "mae_m", "slope_rmse_deg"))
        print(f"| {name} | " + " | ".join(f"{gain:+.1f}" for gain in gains) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
