"""Legends of map layers: rows by layer, and pictures that show each colour."""

import io

import numpy as np
import pytest
from PIL import Image

from orograph.infra.service import legends, shading

HEIGHTS: shading.Stops = ((0.0, (10, 120, 60)), (3000.0, (250, 250, 250)))
SOURCES = (((200, 30, 30), "A lidar model"), ((30, 30, 200), "A radar model"))


@pytest.mark.parametrize("layer", ["relief", "slope", "uncertainty", "difference", "aspect", "source"])
def test_each_colour_of_a_legend_is_in_its_picture(layer):
    heading, rows = legends.rows(layer, HEIGHTS, SOURCES)
    pixels = np.asarray(Image.open(io.BytesIO(legends.drawn(heading, rows))).convert("RGB"))
    shown = {tuple(int(v) for v in colour) for colour in pixels.reshape(-1, 3)}
    assert rows
    assert {tuple(colour) for colour, _ in rows} <= shown


def test_heights_run_from_high_to_low_and_sources_have_their_titles():
    assert [words for _, words in legends.rows("relief", HEIGHTS, ())[1]] == ["3000", "0"]
    assert legends.rows("source", HEIGHTS, SOURCES) == ("Source", SOURCES)
    assert {words for _, words in legends.rows("aspect", HEIGHTS, ())[1]} == {"north", "east", "south", "west"}


def test_a_shade_has_nothing_to_explain():
    assert legends.rows("hillshade", HEIGHTS, SOURCES) == ("", ())
