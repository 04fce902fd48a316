"""Units of heights, by the names that files use for them."""

from __future__ import annotations

import re
from typing import Final

FOOT_M: Final = 0.3048
US_SURVEY_FOOT_M: Final = 1200.0 / 3937.0

_NAMES: Final = {
    "metre": (1.0, ("m", "metre", "metres", "meter", "meters", "mtr", "1")),
    "foot": (FOOT_M, ("ft", "foot", "feet", "international foot", "foot international", "international feet", "ft intl")),
    "US survey foot": (
        US_SURVEY_FOOT_M,
        (
            "us survey foot", "us survey feet", "us foot", "us feet", "us ft", "ftus", "foot us", "feet us", "sft",
            "us survey ft", "survey foot", "survey feet", "u s survey foot", "u s survey feet", "foot us survey",
        ),
    ),
    "decimetre": (0.1, ("dm", "decimetre", "decimetres", "decimeter", "decimeters")),
    "centimetre": (0.01, ("cm", "centimetre", "centimetres", "centimeter", "centimeters")),
    "millimetre": (0.001, ("mm", "millimetre", "millimetres", "millimeter", "millimeters")),
    "kilometre": (1000.0, ("km", "kilometre", "kilometres", "kilometer", "kilometers")),
}  # fmt: skip
_BY_NAME: Final = {alias: (unit, metres) for unit, (metres, aliases) in _NAMES.items() for alias in aliases}
_SAME: Final = 1e-7
"""Relative difference of factors that are one unit; the two feet differ by 2e-6."""

UNITS: Final = tuple(_NAMES)


def height_unit(text: str) -> tuple[str, float] | None:
    """Standard name of a unit and its length in metres; None for an unknown name.

    Args:
        text: Name of the unit as files write it: `US survey foot`, `ft`, `us_survey_foot`, `Meter`.
    """
    plain = re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()
    return _BY_NAME.get(plain)


def unit_of_length(metres: float) -> tuple[str, float] | None:
    """Standard name and length of the known unit with this length in metres; None if there is none."""
    for unit, (known, _) in _NAMES.items():
        if abs(metres / known - 1.0) < _SAME:
            return unit, known
    return None
