"""Legends of map layers as pictures, for programs that show the legend which a WMTS names."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from orograph.infra.service import shading

Row = tuple[tuple[int, int, int], str]
"""A colour and its meaning."""

_FONT_PX: Final = 12
_ROW_PX: Final = 18
_SWATCH_PX: Final = 22
_COMPASS: Final = {0.0: "north", 90.0: "east", 180.0: "south", 270.0: "west"}


def rows(layer: str, heights: shading.Stops, sources: tuple[Row, ...]) -> tuple[str, tuple[Row, ...]]:
    """Heading and rows of a layer's legend; without rows for layers that have no colours to explain.

    `layer` is a layer of the service or `difference`; `heights` are the tints in use, `sources` the published sources.
    """
    if layer == "source":
        return "Source", sources
    if layer == "aspect":
        return "Slope faces", tuple((colour, _COMPASS[at]) for at, colour in shading.ASPECT_STOPS if at in _COMPASS)
    heading, stops = {
        "relief": ("Height, m", heights),
        "slope": ("Slope, degrees", shading.SLOPE_STOPS),
        "uncertainty": ("Standard deviation, m", shading.UNCERTAINTY_STOPS),
        "difference": ("Product minus the other, m", shading.DIFFERENCE_STOPS),
    }.get(layer, ("", ()))
    return heading, tuple((colour, f"{value:g}") for value, colour in reversed(stops))


def drawn(heading: str, entries: tuple[Row, ...]) -> bytes:
    """The legend as a PNG on white: a heading, then one swatch with its words per row."""
    font = ImageFont.load_default(_FONT_PX)
    widths = [font.getlength(heading), *(_SWATCH_PX + 8 + font.getlength(words) for _, words in entries)]
    picture = Image.new("RGB", (int(max(widths)) + 8, _ROW_PX * (len(entries) + 1)), "white")
    draw = ImageDraw.Draw(picture)
    middle = _ROW_PX / 2
    draw.text((2, middle), heading, "black", font, anchor="lm")
    for number, (colour, words) in enumerate(entries, start=1):
        top = number * _ROW_PX
        draw.rectangle((2, top + 2, _SWATCH_PX, top + _ROW_PX - 3), colour, outline=(150, 150, 150))
        draw.text((_SWATCH_PX + 8, top + middle), words, "black", font, anchor="lm")
    held = io.BytesIO()
    picture.save(held, "PNG", optimize=True)
    return held.getvalue()
