"""The vertical catalogue: which operation leads from frame to frame."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Transformer

from orograph.pipeline.errors import (
    NoVerticalOperation,
)
from orograph.pipeline.vertical import (
    VerticalCatalogue,
)
from orograph.pipeline.vertical.entries import OperationMethod

CATALOGUE = VerticalCatalogue.load()


@pytest.mark.parametrize(
    "entry",
    [
        e
        for e in CATALOGUE.operations
        if e.method in {OperationMethod.SLOPE, OperationMethod.CONSTANT} and not e.derived
    ],
    ids=lambda e: e.id,
)
def test_registered_offsets_equal_the_registry(entry, tmp_path):
    west, south, east, north = entry.area
    lon, lat = np.linspace(west, east, 5), np.linspace(south, north, 5)
    registry = Transformer.from_pipeline(f"urn:ogc:def:coordinateOperation:{entry.id.replace(':', '::')}")
    expected = registry.transform(lon, lat, np.zeros(5))[2]
    operation = CATALOGUE.operation(entry.frame_from, entry.frame_to, grids_dir=tmp_path)
    np.testing.assert_allclose(operation.shift(lon, lat), expected, atol=1e-6)
    backwards = CATALOGUE.operation(entry.frame_to, entry.frame_from, grids_dir=tmp_path)
    np.testing.assert_allclose(backwards.shift(lon, lat), -operation.shift(lon, lat), atol=1e-6)


def test_nap_reaches_evrf2007_by_a_labelled_derived_constant(tmp_path):
    operation = CATALOGUE.operation("EPSG:5709", "EPSG:5621", grids_dir=tmp_path)
    assert operation.derived
    assert operation.shift(5.0, 52.0) == pytest.approx(0.028)
    assert operation.accuracy_m == pytest.approx(0.02)
    assert "border with Germany" in operation.notes[0]


def test_opendems_constant_is_another_method_under_its_own_name(tmp_path):
    operation = CATALOGUE.operation("EPSG:5709", "EPSG:5621", grids_dir=tmp_path, method="opendem")
    assert operation.id == "opendem/Netherlands/evrf2007"
    assert operation.shift(5.0, 52.0) == pytest.approx(0.02)


def test_shared_codes_ask_for_the_country(tmp_path):
    with pytest.raises(NoVerticalOperation, match=r"EPSG:8357@CZ, EPSG:8357@SK"):
        CATALOGUE.operation("EPSG:8357", "EPSG:5621", grids_dir=tmp_path)


def test_no_chain_through_a_neighbour(tmp_path):
    with pytest.raises(NoVerticalOperation, match="no pinned operation"):
        CATALOGUE.operation("EPSG:5610", "EPSG:5709", grids_dir=tmp_path)


def test_evrf2019_asks_for_the_users_grid(tmp_path):
    with pytest.raises(NoVerticalOperation, match="no open licence"):
        CATALOGUE.operation("EPSG:5709", "EPSG:9389", grids_dir=tmp_path)


def test_identity_between_equal_frames(tmp_path):
    operation = CATALOGUE.operation("EPSG:5773", "EPSG:5773", grids_dir=tmp_path)
    assert operation.shift(7.0, 43.5) == 0.0
    assert operation.accuracy_m == 0.0
