"""Maps and charts drawn by Pillow: frames with ticks, colour bars, scale bars, lines and labels.

Matplotlib takes half a second to import and a quarter of a second per picture, more than a small command computes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from orograph.pipeline.core.painting import Stops, ramp

Array = npt.NDArray[Any]
Colour = tuple[int, int, int]

BLACK: Final[Colour] = (0, 0, 0)
GREY: Final[Colour] = (119, 119, 119)
TITLE_PX, LABEL_PX, TICK_PX = 17, 15, 12
_WHITE: Final[Colour] = (255, 255, 255)
_TICK: Final = 4
_SMOOTH: Final = 3
"""Arrows are drawn this many times larger, and averaged."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a picture, pixels from its upper left corner; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top


class Canvas:
    """A white picture that is drawn on."""

    def __init__(self, width: int, height: int) -> None:
        self._image: Final = Image.new("RGB", (width, height), _WHITE)
        self._draw: Final = ImageDraw.Draw(self._image)

    @property
    def width(self) -> int:
        """Columns."""
        return self._image.width

    def text(
        self, at: tuple[float, float], text: str, size: int = LABEL_PX, anchor: str = "mm", colour: Colour = BLACK
    ) -> None:
        """Write text; `anchor` is Pillow's: left, middle or right, and ascender, middle or descender."""
        self._draw.text(at, text, fill=colour, font=_font(size), anchor=anchor)

    def title(self, box: Box, text: str, most_px: int) -> None:
        """Write a title above a box, smaller and shortened if it is wider than allowed."""
        size = TITLE_PX
        while text_width(text, size) > most_px and size > TICK_PX:
            size -= 1
        while text_width(text, size) > most_px and len(text) > 1:
            text = f"{text[:-2]}…"
        left = max(box.left, round((box.left + box.right - text_width(text, size)) / 2))
        self.text((left, box.top - 10), text, size, "ld")

    def upright(self, at: tuple[float, float], text: str, size: int = LABEL_PX) -> None:
        """Write text that reads upwards, centred."""
        left, top, right, bottom = self._draw.textbbox((0, 0), text, font=_font(size))
        line = Image.new("L", (math.ceil(right - left) + 2, math.ceil(bottom - top) + 2), 0)
        ImageDraw.Draw(line).text((1 - left, 1 - top), text, fill=255, font=_font(size))
        turned = line.rotate(90, expand=True)
        self._image.paste(BLACK, (int(at[0] - turned.width / 2), int(at[1] - turned.height / 2)), turned)

    def line(self, points: Iterable[tuple[float, float]], colour: Colour = BLACK, width: int = 1) -> None:
        """Draw a line through points."""
        self._draw.line(list(points), fill=colour, width=width)

    def rectangle(self, box: Box, fill: Colour | None = None, outline: Colour | None = BLACK) -> None:
        """Draw a rectangle around a box."""
        self._draw.rectangle((box.left - 1, box.top - 1, box.right, box.bottom), fill=fill, outline=outline)

    def dot(self, at: tuple[float, float], radius: int, colour: Colour = BLACK) -> None:
        """Draw a filled circle."""
        self._draw.ellipse((at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius), fill=colour)

    def paint(self, box: Box, colours: Array) -> None:
        """Fill a box with colours (rows, columns, 3), 0 to 255, of any size: nearest where larger."""
        image = Image.fromarray(np.asarray(colours).astype(np.uint8))
        if image.size != (box.width, box.height):
            image = image.resize((box.width, box.height), Image.Resampling.NEAREST)
        self._image.paste(image, (box.left, box.top))

    def glaze(self, polygon: Sequence[tuple[float, float]], colour: Colour, opacity: float) -> None:
        """Fill a polygon transparently."""
        mask = Image.new("L", self._image.size, 0)
        ImageDraw.Draw(mask).polygon(list(polygon), fill=round(255 * opacity))
        self._image.paste(colour, mask=mask)

    def arrows(self, box: Box, starts: Array, moves: Array) -> None:
        """Draw black arrows from pixel positions (n, 2) by moves (n, 2), x and y, cut off at the edges of a box."""
        mask = Image.new("L", (box.width * _SMOOTH, box.height * _SMOOTH), 0)
        draw = ImageDraw.Draw(mask)
        for start, move in zip((starts - (box.left, box.top)) * _SMOOTH, moves * _SMOOTH, strict=True):
            length = float(np.hypot(*move))
            along = move / max(length, 1e-9)
            head = min(7.0 * _SMOOTH, length)
            neck, across = start + move - along * head, np.array([-along[1], along[0]]) * head * 0.35
            draw.line([tuple(start), tuple(neck)], fill=255, width=round(1.3 * _SMOOTH))
            draw.polygon([tuple(start + move), tuple(neck + across), tuple(neck - across)], fill=255)
        self._image.paste(BLACK, (box.left, box.top), mask.reduce(_SMOOTH))

    def save(self, path: Path) -> None:
        """Write the picture as PNG."""
        self._image.save(path, "PNG", compress_level=1)


@dataclass(frozen=True, slots=True)
class Axes:
    """A frame with linear axes.

    Attributes:
        canvas: The picture.
        box: The inside of the frame.
        x: Values at the left and right edge.
        y: Values at the bottom and top edge.
    """

    canvas: Canvas
    box: Box
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
        """Pixel positions (n, 2) of values."""
        across = self.box.left + (np.asarray(x) - self.x[0]) / (self.x[1] - self.x[0]) * self.box.width
        down = self.box.bottom - (np.asarray(y) - self.y[0]) / (self.y[1] - self.y[0]) * self.box.height
        return np.stack([across, down], axis=-1)

    def curve(self, x: npt.ArrayLike, y: npt.ArrayLike, colour: Colour = BLACK, width: int = 1) -> None:
        """Draw a line through values."""
        self.canvas.line([(float(px), float(py)) for px, py in self.at(x, y)], colour, width)

    def dots(self, x: Array, y: Array, colours: Array, size: int = 2) -> None:
        """Paint the inside white with square dots of colours (n, 3), later ones on top."""
        inside = np.full((self.box.height, self.box.width, 3), 255, np.uint8)
        places = self.at(x, y) - (self.box.left + size / 2, self.box.top + size / 2)
        left, top = np.round(places).astype(np.intp).T
        for down in range(size):
            for right in range(size):
                row, col = top + down, left + right
                seen = (row >= 0) & (row < self.box.height) & (col >= 0) & (col < self.box.width)
                inside[row[seen], col[seen]] = colours[seen]
        self.canvas.paint(self.box, inside)

    def bars(self, edges: Array, heights: Array, colour: Colour) -> None:
        """Draw bars from zero between edges (n + 1) to heights (n)."""
        low, high = self.at(edges[:-1], np.zeros(heights.size)), self.at(edges[1:], heights)
        for (left, bottom), (right, top) in zip(low, high, strict=True):
            if top < bottom:
                self.canvas.rectangle(Box(round(left) + 1, round(top) + 1, round(right), round(bottom)), colour, None)

    def frame(self, title: str = "", x_label: str = "", y_label: str = "") -> None:
        """Draw the frame and a title, and for each label the ticks of its axis."""
        box, canvas = self.box, self.canvas
        canvas.rectangle(box)
        x_ticks = ticks(*self.x, most=max(2, box.width // 90)) if x_label else []
        y_ticks = ticks(*self.y, most=max(2, box.height // 50)) if y_label else []
        for value, text in x_ticks:
            px = float(self.at(value, self.y[0])[0])
            canvas.line([(px, box.bottom), (px, box.bottom + _TICK)])
            canvas.text((px, box.bottom + _TICK + 3), text, TICK_PX, "ma")
        for value, text in y_ticks:
            py = float(self.at(self.x[0], value)[1])
            canvas.line([(box.left - 1 - _TICK, py), (box.left - 1, py)])
            canvas.text((box.left - _TICK - 5, py), text, TICK_PX, "rm")
        canvas.title(box, title, box.width + 60)
        canvas.text(((box.left + box.right) / 2, box.bottom + 24), x_label, LABEL_PX, "ma")
        if y_label:
            widest = max((text_width(text, TICK_PX) for _, text in y_ticks), default=0)
            canvas.upright((box.left - _TICK - 17 - widest, (box.top + box.bottom) / 2), y_label)

    def scale_bar(self, length_m: float, units_per_m: float = 1.0) -> None:
        """Draw a bar of a length in the lower left corner; the x axis may have any unit."""
        width = length_m * units_per_m / (self.x[1] - self.x[0]) * self.box.width
        left, bottom = self.box.left + 0.04 * self.box.width, self.box.bottom - 0.05 * self.box.height
        text = f"{length_m / 1000:g} km" if length_m >= 1000 else f"{length_m:g} m"
        half = text_width(text, TICK_PX) / 2 + 3
        middle = left + width / 2
        self.canvas.rectangle(
            Box(*(round(v) for v in (middle - half, bottom - 20, middle + half, bottom - 3))), _WHITE, None
        )
        self.canvas.line([(left - 1, bottom), (left + width + 1, bottom)], _WHITE, 7)
        self.canvas.line([(left, bottom), (left + width, bottom)], BLACK, 3)
        self.canvas.text((middle, bottom - 12), text, TICK_PX)


def colour_bar(canvas: Canvas, box: Box, stops: Stops, limits: tuple[float, float], label: str) -> None:
    """Draw a colour bar with ticks and a label to its right."""
    low, high = limits
    values = np.linspace(high, low, box.height)[:, None] * np.ones((1, box.width))
    canvas.paint(box, ramp(values, stops, low, high))
    canvas.rectangle(box)
    widest = 0
    for value, text in ticks(low, high, most=max(2, box.height // 40)):
        py = box.bottom - (value - low) / (high - low) * box.height
        canvas.line([(box.right, py), (box.right + _TICK, py)])
        canvas.text((box.right + _TICK + 4, py), text, TICK_PX, "lm")
        widest = max(widest, text_width(text, TICK_PX))
    canvas.upright((box.right + _TICK + 18 + widest, (box.top + box.bottom) / 2), label)


def ticks(low: float, high: float, most: int) -> list[tuple[float, str]]:
    """Up to about `most` round values in a range, and their labels."""
    if not high > low:
        return [(low, f"{low:g}")]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if round(step / power, 6) == 2.5 else 0))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(k * step, f"{k * step + 0.0:.{decimals}f}") for k in range(first, last + 1)]


def text_width(text: str, size: int) -> int:
    """Width of a line of text, pixels."""
    return math.ceil(_font(size).getlength(text))


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)
