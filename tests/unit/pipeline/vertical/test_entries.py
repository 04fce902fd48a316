"""Entries of the catalogue are complete, or reading fails."""

import pytest
from pydantic import ValidationError

from orograph.pipeline.vertical.entries import OpenDemEntry, OperationEntry

WHOLE = {"id": "x", "title": "X", "from": "EPSG:5709", "to": "EPSG:5621", "method": "constant", "offset_m": 0.1, "accuracy_m": 0.01, "area": (3, 50, 7, 54)}  # fmt: skip


def test_a_method_has_what_it_needs():
    assert OperationEntry.model_validate(WHOLE).offset_m == 0.1
    assert OperationEntry.model_validate(
        {"id": "r", "title": "R", "from": "a", "to": "b", "method": "route", "route": ["x"]}
    ).route == ("x",)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"offset_m": None}, "needs offset_m"),
        ({"method": "geoid"}, "needs grid"),
        ({"area": None}, "needs accuracy_m and area"),
        ({"accuracy_m": -1}, "greater than or equal to 0"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_incomplete_entries_are_rejected(changes, says):
    with pytest.raises(ValidationError, match=says):
        OperationEntry.model_validate({**WHOLE, **changes})


def test_constants_belong_to_a_pair_of_frames():
    row = OpenDemEntry(country="NL", frame_2000="EPSG:5709", evrf2000_cm=-0.5, evrf2007_cm=-1.0, area=(3, 50, 7, 54))
    assert row.constant_cm("EPSG:5709", "EPSG:5730") == -0.5
    assert row.constant_cm("EPSG:5709", "EPSG:5621") == -1.0
    assert row.constant_cm("EPSG:5710", "EPSG:5621") is None
