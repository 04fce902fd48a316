"""Fits: adaptive against uniform, and rejected options."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.errors import (
    ConfigError,
    NoTrainingPixels,
    SourceGridError,
)
from orograph.pipeline.implicit.fit import FitOptions, Kind, fit_model
from orograph.pipeline.implicit.tiling import read_heights
from tests.support.implicit_world import box, ground


def test_adaptive_beats_the_uniform_lattice_on_rough_ground(shared) -> None:
    heights, geobox = read_heights(shared("data/srtm/bigtujunga.tif"))
    z, part = heights[65:577, 342:854], geobox[65:577, 342:854]
    adaptive = fit_model(z, part, FitOptions(Kind.ADAPTIVE, 15_625))
    uniform = fit_model(z, part, FitOptions(Kind.LATTICE, 15_625))
    assert adaptive.field.parameters <= 15_625
    assert adaptive.statistics.rmse_m <= 4.0 < uniform.statistics.rmse_m < 4.68
    assert sum(a.nbytes for a in adaptive.arrays.values()) <= 21_000
    fine = fit_model(z, part, FitOptions(Kind.ADAPTIVE, 65_000))
    assert fine.statistics.rmse_m <= 1.2


def test_bad_fits_are_refused() -> None:
    z = ground(32, 32)
    with pytest.raises(NoTrainingPixels):
        fit_model(np.full_like(z, np.nan), box(32, 32))
    with pytest.raises(NoTrainingPixels):
        fit_model(np.full_like(z, np.nan), box(32, 32), FitOptions(Kind.MLP, 500, steps=2))
    with pytest.raises(ConfigError, match="too few"):
        FitOptions(parameters=10)
    with pytest.raises(ConfigError, match="cannot share borders"):
        fit_model(z, box(16, 16), FitOptions(Kind.MLP, 500), halo_px=8)
    with pytest.raises(SourceGridError, match="shape"):
        fit_model(z, box(30, 30))
    with pytest.raises(SourceGridError, match="rotated"):
        fit_model(z, GeoBox((32, 32), Affine.rotation(10) * Affine.scale(10, -10), "EPSG:32633"))
    with pytest.raises(SourceGridError, match="no CRS"):
        fit_model(z, GeoBox((32, 32), Affine(10, 0, 0, 0, -10, 0), None))
