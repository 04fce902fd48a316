"""Colours that stand for sources, in files and on maps."""

from __future__ import annotations

from typing import Final

SOURCE_COLOURS: Final = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (240, 228, 66),
    (120, 120, 120),
)
"""Okabe and Ito's palette, red, green and blue, with grey for black."""


def source_colour(place: int) -> tuple[int, int, int]:
    """Colour of a source by its place, from 0; the palette repeats."""
    return SOURCE_COLOURS[place % len(SOURCE_COLOURS)]
