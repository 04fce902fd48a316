"""Chain and global offsets on the same predictions.

`pytest -q -s -m bench tests/bench/test_ordinal_bench.py`
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from orograph.pipeline.learning.bare_earth.sites import grid_at, read_on
from orograph.pipeline.learning.image_heights.stitch import CropLayout, assemble, chain_offsets, global_offsets

pytestmark = pytest.mark.bench


def test_global_offsets_do_not_drift(shared) -> None:
    path = shared("data/surface/bilbao_dem.tif")
    grid = grid_at(path, 2.5)[:1280, :1280]
    ground = read_on(path, grid)
    above = [read_on(shared(f"data/surface/bilbao_{part}.tif"), grid) for part in ("bdsm", "cdsm")]
    world = (ground + np.max(above, axis=0)).astype(np.float64)
    layout = CropLayout(1280, 1280, 128, 2)
    rng = np.random.default_rng(0)
    totals = {"chain": [], "global": []}
    for _ in range(5):
        patches = []
        for row, col in layout.places:
            part = world[row : row + 128, col : col + 128]
            # What a network leaves: errors of metres, alike over tens of pixels.
            error = gaussian_filter(rng.normal(size=part.shape), 6.0)
            patches.append(part - part.min() + 1.7 * error / error.std())
        for name, solve in (("chain", chain_offsets), ("global", global_offsets)):
            difference = assemble(patches, solve(patches, layout), layout) - world
            totals[name].append(float(np.sqrt(np.mean((difference - difference.mean()) ** 2))))
    chain, solved = np.mean(totals["chain"]), np.mean(totals["global"])
    print(
        f"\n{layout.count} patches: RMSE of the map {chain:.2f} m by the chain, {solved:.2f} m by all offsets at once"
    )
    assert solved < 0.9 * chain
