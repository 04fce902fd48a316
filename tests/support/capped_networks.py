"""Heights of every bundled network, made in this process: `python -m tests.support.capped_networks OUT.npz [DTM]`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from orograph.pipeline.bare_earth.model import bare_earth_names, load_bare_earth
from orograph.pipeline.core.bundled_weights import bundled_index
from orograph.pipeline.core.precision import checked_precision
from orograph.pipeline.learning.superres.degrade import thin
from orograph.pipeline.learning.superres.evaluate import tiles_of
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.resolvers import resolver
from tests.support.superres_fixtures import hills


def network_heights(precision: str, coarse: np.ndarray) -> dict[str, np.ndarray]:
    """Heights by network: upsampled ones of super-resolution, heights above ground of bare earth."""
    asked = checked_precision(precision)
    out = {name: resolver(name, precision=asked)(coarse)[0] for name in sorted(bundled_index("superres"))}
    town = hills(92, 92) / 20
    town[40:52, 40:52] += 8.0
    for name in bare_earth_names():
        model = load_bare_earth(name)
        out[name] = model.above_ground(town, sum(model.spec.pixel_size_m) / 2).height_m
    return out


def coarse_heights(dtm: Path | None) -> np.ndarray:
    """Decimated heights of the first tile of a terrain model at 10 m, or made hills."""
    return hills(60, 60) if dtm is None else thin(tiles_of(dtm, 3, 10.0)[0].fine_m, 3, Thinning.DECIMATED)


if __name__ == "__main__":
    coarse_m = coarse_heights(Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    made = {
        f"{precision} {name}": heights_m
        for precision in ("fp32", "bf16")
        for name, heights_m in network_heights(precision, coarse_m).items()
    }
    np.savez(sys.argv[1], **made)
