"""A result applies its shift and describes itself as JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest
from odc.geo.geobox import GeoBox

from orograph.pipeline.coregistration.waves import Wave
from orograph.pipeline.errors import SourceGridError
from tests.support.pairs import AFFINE, coregistration_of, plane_raster

RASTER = plane_raster(40, 40, east=0.2, north=0.0)
RESULT = coregistration_of(RASTER.geobox, east_m=5.0, up_m=3.0)


def test_the_shift_is_that_of_the_field():
    assert RESULT.shift == (5.0, 0.0, 3.0)
    east, north, up = RESULT.displacement(RASTER.geobox)
    assert (east == 5).all()
    assert (north == 0).all()
    assert (up == 3).all()


def test_applying_moves_heights_and_keeps_frame_and_kind():
    aligned = RESULT.apply(RASTER)
    np.testing.assert_allclose(aligned.heights_m[:, 4:-4], (RASTER.heights_m - 1.0 + 3.0)[:, 4:-4], atol=2e-3)
    assert (aligned.frame, aligned.surface, aligned.geobox) == (RASTER.frame, RASTER.surface, RASTER.geobox)
    part = RESULT.apply(RASTER, RASTER.geobox[10:20, 5:30])
    np.testing.assert_allclose(part.heights_m, aligned.heights_m[10:20, 5:30], atol=1e-3)


def test_a_grid_in_another_crs_is_a_typed_error():
    with pytest.raises(SourceGridError, match="EPSG:25832"):
        RESULT.apply(RASTER, GeoBox((5, 5), AFFINE, "EPSG:25832"))


def test_the_record_is_json_with_unknown_numbers_as_null():
    unknown = replace(
        RESULT,
        condition=float("inf"),
        nmad_after_m=float("nan"),
        reason="because",
        field=RESULT.field.with_waves((Wave((0.001, 0.0), (0, 0, 1), (0, 0, 0)),)),
    )
    record = json.loads(unknown.record("a", "b").model_dump_json())
    assert (record["source"], record["reference"], record["status"]) == ("a", "b", "converged")
    assert record["nmad_after_m"] is None
    assert record["details"]["condition"] is None
    assert record["details"]["reason"] == "because"
    assert record["details"]["standard_error_m"] == pytest.approx([0.2, 0.3, 0.1])
    assert record["details"]["waves"][0]["wavelength_m"] == 1000.0
