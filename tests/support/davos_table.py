"""Print gains over GDAL cubic on the western half of Davos: `python -m tests.support.davos_table [east] [names or weights]`.

In RMSE, MAE and slope RMSE, %, and the share of blocks of 300 m that are worse than cubic. With `east` on the eastern half, for judging.
A file of weights is one of `orograph train --sensors`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import bundled_sensor
from orograph.pipeline.superres import resolver
from tests.support.davos import Davos
from tests.support.sensors import resolver_for

METHODS = ("bilinear", "keys6", "lanczos3", "best-linear", "superres-xs", "superres-s", "sensor", "sensor-net")


BLOCK_PX, LEAST_PX = 30, 450


def blocks(davos, up):
    """RMSE by block of the judged pixels, NaN where fewer than half are judged."""
    squares = np.where(davos.judged, np.square(davos.fine(up, Thinning.AVERAGED) - davos.truth_m), 0.0)
    rows, columns = (side // BLOCK_PX * BLOCK_PX for side in squares.shape)

    def summed(values):
        cut = values[:rows, :columns].astype(np.float64)
        return cut.reshape(rows // BLOCK_PX, BLOCK_PX, columns // BLOCK_PX, BLOCK_PX).sum(axis=(1, 3))

    count = summed(davos.judged)
    return np.sqrt(np.where(count >= LEAST_PX, summed(squares) / np.maximum(count, 1), np.nan))


def main(words):
    load = Davos.load_east if "east" in words else Davos.load
    davos = load(lambda relative: Path("../shared") / relative)
    peer = resolver("gdal-cubic")
    cubic, by_block = davos.errors(peer, Thinning.AVERAGED), blocks(davos, peer)
    print(f"{davos.judged.sum()} pixels, {np.isfinite(by_block).sum()} blocks")
    for name in [word for word in words if word != "east"] or METHODS:
        up = resolver_for(name, bundled_sensor("srtm"))
        own = davos.errors(up, Thinning.AVERAGED)
        gains = (100 * (1 - getattr(own, k) / getattr(cubic, k)) for k in ("rmse_m", "mae_m", "slope_rmse_deg"))
        worse = np.mean((blocks(davos, up) > by_block)[np.isfinite(by_block)])
        print(f"| {name} | " + " | ".join(f"{gain:+.1f}" for gain in gains) + f" | {worse:.0%} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
