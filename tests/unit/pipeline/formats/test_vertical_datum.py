"""The vertical datum of a file: written as tags, read from tags or a compound CRS."""

import pytest
from pyproj import CRS

from orograph.pipeline.errors import VerticalFrameMissing
from orograph.pipeline.formats.vertical_datum import declared_datum, vertical_tags

FLAT = CRS("EPSG:3035")


@pytest.mark.parametrize("frame", ["EPSG:5621", "EPSG:5621@DE"])
def test_tags_name_code_and_datum_and_are_read_back(frame):
    tags = vertical_tags(frame)
    assert tags == {"VERTICAL_DATUM": "EPSG:5621", "VERTICAL_DATUM_NAME": "EVRF2007 height"}
    assert declared_datum(FLAT, tags) == "EPSG:5621"


@pytest.mark.parametrize("frame", ["", "mine", "mine@EPSG:5621"])
def test_a_frame_without_a_code_is_a_typed_error(frame):
    with pytest.raises(VerticalFrameMissing):
        vertical_tags(frame)


def test_a_compound_crs_wins_over_tags():
    assert declared_datum(CRS("EPSG:3035+5730"), {"VERTICAL_DATUM": "EPSG:5621"}) == "EPSG:5730"


def test_a_file_without_either_declares_nothing():
    assert declared_datum(FLAT, {}) is None
