"""Colours of sources are distinct and repeat."""

from orograph.pipeline.core.palette import SOURCE_COLOURS, source_colour


def test_colours_are_distinct_bytes_and_repeat():
    assert len(set(SOURCE_COLOURS)) == len(SOURCE_COLOURS)
    assert all(0 <= part <= 255 for colour in SOURCE_COLOURS for part in colour)
    assert source_colour(0) == (0, 114, 178)
    assert source_colour(len(SOURCE_COLOURS) + 2) == source_colour(2)
