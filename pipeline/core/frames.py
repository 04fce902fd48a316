"""Names of vertical frames (datums): the code of every name that `orograph height --frames` prints."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator

from orograph.pipeline.core.yaml_text import parse_yaml

FRAMES: Final = Path(__file__).with_name("frames.yaml")
_CODE: Final = re.compile(r"(?:epsg:)?(\d{4,6})(@[a-z]{2}(?:-[a-z]{2,3})?)?", re.IGNORECASE)
_WORDS: Final = re.compile(r"[^\w]+")


def frame_id(text: str) -> str:
    """The id of a frame given by code or name: `NAP`, `nap height` and `epsg:5709` are `EPSG:5709`.

    Names are compared without case, punctuation and the words "height" and "ellipsoidal height". A name that several
    countries share (`Baltic 1977`) gives the code without a country, which the vertical catalogue rejects with the list
    of countries. Other texts are returned unchanged: a frame of the user's own, or an unknown one.
    """
    stripped = text.strip()
    code = _CODE.fullmatch(stripped)
    if code is not None:
        return f"EPSG:{code[1]}{(code[2] or '').upper()}"
    return _by_name().get(_key(stripped), stripped)


FrameId = Annotated[str, AfterValidator(frame_id)]
"""Type of a model's field that takes a frame by code or name and keeps its code."""


@cache
def bundled_frames() -> dict[str, dict[str, Any]]:
    """The entries of `frames.yaml` by frame id."""
    loaded: dict[str, dict[str, Any]] = parse_yaml(FRAMES.read_text(encoding="utf-8"))
    return loaded


@cache
def _by_name() -> dict[str, str]:
    names: dict[str, str] = {}
    for frame, described in bundled_frames().items():
        code, country = frame.partition("@")[::2]
        name = str(described["name"])
        names[_key(name)] = names[_key(name.removesuffix("(GRS80)"))] = frame
        if country:
            names[_key(name.removesuffix(f"({country})"))] = code
    return names


def _key(name: str) -> str:
    """A name without case, punctuation, and the words that every frame's name has."""
    words = [word for word in _WORDS.split(name.casefold().replace("_", " ")) if word]
    return " ".join(word for word in words if word not in {"height", "heights", "ellipsoidal"})
