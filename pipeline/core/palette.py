"""Colours that stand for sources, in files, catalogue and maps: a function of the source's id alone.

Every tile, run and program therefore paints a source alike without knowing the others. The price is that two sources of a
user may share a colour (1 pair in 40); legends name them. `_SALT` is chosen so that no two bundled sources whose areas touch do.
"""

from __future__ import annotations

import hashlib
from typing import Final

Colour = tuple[int, int, int]

VOID_COLOUR: Final[Colour] = (0, 0, 0)
"""Of pixels without a source, in files."""

PALETTE: Final[tuple[Colour, ...]] = (
    *((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (213, 94, 0), (240, 228, 66)),
    *((156, 12, 84), (96, 0, 252), (48, 252, 228), (132, 120, 252), (108, 204, 132), (144, 72, 0), (204, 0, 156)),
    *((252, 72, 108), (180, 204, 252), (36, 72, 204), (252, 216, 168), (204, 36, 72), (252, 168, 192), (228, 48, 228)),
    *((144, 0, 144), (156, 84, 108), (252, 120, 204), (192, 204, 84), (108, 96, 144), (72, 132, 216), (252, 108, 60)),
    *((96, 240, 132), (72, 108, 60), (120, 180, 156), (132, 156, 252), (168, 72, 180), (84, 216, 216), (108, 72, 108)),
    *((36, 168, 192), (144, 120, 180), (168, 120, 84), (252, 144, 96), (108, 48, 168)),
)
"""Red, green, blue: seven colours of Okabe and Ito, then each as far as possible from those before it.

Distances are Euclidean in OKLab, the least of normal vision, deuteranopia and protanopia (Machado et al. 2009).
"""

_GLOBAL: Final[dict[str, Colour]] = {
    "glo-30": (120, 120, 120),
    "glo-30-caucasus": (150, 150, 150),
    "gedtm30": (95, 95, 95),
    "gedtm30-std": (180, 180, 180),
}
"""Global models below all surveys are grey."""

_SALT: Final = 2387


def source_colour(source_id: str) -> Colour:
    """Colour of a source by its id."""
    known = _GLOBAL.get(source_id)
    if known is not None:
        return known
    digest = hashlib.blake2b(source_id.encode(), digest_size=4, salt=_SALT.to_bytes(4, "big")).digest()
    return PALETTE[digest[3] % len(PALETTE)]


def hex_colour(colour: Colour) -> str:
    """Six hexadecimal digits, upper case."""
    return "{:02X}{:02X}{:02X}".format(*colour)
