"""Compound CRS of a horizontal CRS and a vertical frame."""

import pytest

from orograph.pipeline.errors import SourceGridError, VerticalFrameMissing
from orograph.pipeline.vertical.crs import compound_crs


@pytest.mark.parametrize("frame", ["EPSG:5621", "EPSG:5621@DE"])
def test_both_parts_are_found_again(frame):
    crs = compound_crs("EPSG:3035", frame)
    assert crs.is_compound
    assert [part.to_epsg() for part in crs.sub_crs_list] == [3035, 5621]


def test_an_ellipsoidal_frame_gives_three_dimensions():
    crs = compound_crs("EPSG:3035", "EPSG:4937")
    assert not crs.is_compound
    assert len(crs.axis_info) == 3


@pytest.mark.parametrize("horizontal", ["nonsense", "EPSG:5621", "EPSG:3035+5621", "EPSG:4979"])
def test_a_horizontal_crs_has_two_dimensions(horizontal):
    with pytest.raises(SourceGridError):
        compound_crs(horizontal, "EPSG:5621")


@pytest.mark.parametrize("frame", ["", "mine", "EPSG:3035"])
def test_a_frame_without_a_vertical_crs_is_a_typed_error(frame):
    with pytest.raises(VerticalFrameMissing):
        compound_crs("EPSG:3035", frame)
