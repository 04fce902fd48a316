"""Neighbouring models meet without a step, at voids too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.implicit.fit import FitOptions, Kind, fit_model, halo_px_needed
from orograph.pipeline.implicit.model import ImplicitModel
from orograph.pipeline.implicit.tiling import Quadkey, TileCutter
from tests.support.implicit_world import box, ground, write


@pytest.mark.parametrize("kind", [Kind.LATTICE, Kind.ADAPTIVE])
def test_neighbours_meet_without_a_seam(kind: Kind) -> None:
    n = 64
    options = FitOptions(kind, 1600)
    halo = halo_px_needed((n, n), options)

    def tile(row: int, col: int) -> ImplicitModel:
        z = ground(n + 2 * halo, n + 2 * halo, row - halo, col - halo)
        return fit_model(z, box(n, n, row, col), options, halo_px=halo)

    west, east, south = tile(0, 0), tile(0, n), tile(n, 0)
    names = ("height", "dv", "du", "dvv", "dvu", "duu")
    y = np.linspace(west.bounds[1], west.bounds[3], 333)
    x = np.full_like(y, west.bounds[2])
    a, b = west.derivatives(x, y), east.derivatives(x, y)
    assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)
    x = np.linspace(west.bounds[0], west.bounds[2], 333)
    y = np.full_like(x, west.bounds[1])
    a, b = west.derivatives(x, y), south.derivatives(x, y)
    assert all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)
    alone = fit_model(ground(n, n), box(n, n), options)
    assert west.statistics.rmse_m < 2.5 * alone.statistics.rmse_m + 0.5


def test_voids_beyond_the_data_leave_the_seam_shut(tmp_path: Path) -> None:
    path = write(tmp_path / "h.tif", ground(400, 400), box(400, 400))
    cutter = TileCutter(path, 14, 64)
    options = FitOptions(Kind.ADAPTIVE, 1600)
    halo = halo_px_needed((64, 64), options)
    units = [u for u in cutter.units() if np.isfinite(cutter.heights(u)).any()]
    models = {u: fit_model(cutter.heights(u, halo), cutter.geobox(u), options, halo_px=halo) for u in units}
    compared = 0
    for unit, model in models.items():
        east = models.get(Quadkey(14, unit.x + 1, unit.y))
        if east is not None:
            y = np.linspace(model.bounds[1], model.bounds[3], 65)[1:-1]
            x = np.full_like(y, model.bounds[2])
            assert np.array_equal(model.height(x, y), east.height(np.full_like(y, east.bounds[0]), y))
            compared += 1
    assert compared
