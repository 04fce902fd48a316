"""Combinations of encodings, drawn with a seed: each is read right to 1 cm, or rejected with the wrong end named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orograph.pipeline.errors import InputError
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.single_raster import HeightRaster
from tests.support.facts_matrix import drawn, make

TOLERANCE_M = 0.01


def verdict(kind: dict[str, Any], folder: Path) -> str | None:
    """None where a combination is handled right, else what went wrong."""
    made = make(kind, folder)
    try:
        with HeightRaster(read_header(made.path, made.source), "made") as raster:
            heights, affine = raster.read_all(), raster.transform
    except InputError as error:
        if any(re.search(fault, str(error)) for fault in made.faults):
            return None
        return f"rejected with {type(error).__name__}: {error}; mistakes: {made.faults}"
    if made.faults:
        return f"accepted in silence; mistakes: {made.faults}"
    if not affine.almost_equals(made.affine, 1e-6):
        return f"placed at {tuple(affine)[:6]}, not {tuple(made.affine)[:6]}"
    if (np.isnan(heights) != np.isnan(made.truth)).any():
        return f"{int((np.isnan(heights) != np.isnan(made.truth)).sum())} voids differ"
    off = float(np.nanmax(np.abs(heights - made.truth)))
    return f"off by {off:.3f} m" if off > TOLERANCE_M else None


def failures(count: int, seed: int, folder: Path) -> list[str]:
    found = []
    for number, kind in enumerate(drawn(count, seed)):
        place = folder / str(number)
        place.mkdir()
        wrong = verdict(kind, place)
        if wrong is not None:
            found.append(f"{wrong}: {kind}")
    return found


def test_a_hundred_combinations(tmp_path: Path) -> None:
    found = failures(100, 18, tmp_path)
    assert not found, f"{len(found)} of 100: " + "\n".join(found[:10])


@pytest.mark.slow
def test_two_thousand_combinations(tmp_path: Path) -> None:
    found = failures(2000, 2026, tmp_path)
    assert not found, f"{len(found)} of 2000: " + "\n".join(found[:10])
