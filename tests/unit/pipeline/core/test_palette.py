"""Colours of sources: decided by the id, far apart for every eye, and distinct where bundled sources meet."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.palette import PALETTE, VOID_COLOUR, source_colour
from orograph.pipeline.sources.catalogue import SourceCatalogue

_TO_LMS = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
_TO_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip
# Machado, Oliveira and Fernandes 2009, severity 1.
_DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
_PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)


def nearest(seen_as: npt.NDArray[np.float64]) -> float:
    """Least distance of two colours in OKLab, as somebody with this vision sees them."""
    share = np.array(PALETTE) / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    lab = np.cbrt(np.clip(linear @ seen_as.T, 0, 1) @ _TO_LMS.T) @ _TO_LAB.T
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=2)
    return float(apart[~np.eye(len(PALETTE), dtype=bool)].min())


def test_the_palette_is_far_apart_for_every_eye() -> None:
    # Okabe and Ito's seven alone have 0.156, 0.076 and 0.096; a just noticeable difference is about 0.02.
    assert nearest(np.eye(3)) > 0.07
    assert nearest(_DEUTERANOPIA) > 0.045
    assert nearest(_PROTANOPIA) > 0.045
    assert VOID_COLOUR not in PALETTE


def test_a_colour_is_a_function_of_the_id() -> None:
    """Files that are published already have these: a change of the function would part them from the map."""
    assert source_colour("glo-30") == (120, 120, 120)
    assert source_colour("nl-ahn4") == (96, 0, 252)
    assert source_colour("demo-nl") == (252, 108, 60)
    assert source_colour("my-survey") == (84, 216, 216)


def test_bundled_sources_that_meet_differ() -> None:
    sources = [source for source in SourceCatalogue.load().sources if source.area_deg is not None]
    for one, other in combinations(sources, 2):
        (w0, s0, e0, n0), (w1, s1, e1, n1) = one.area_deg or (), other.area_deg or ()
        if w0 <= e1 and w1 <= e0 and s0 <= n1 and s1 <= n0:
            assert source_colour(one.id) != source_colour(other.id), f"{one.id} and {other.id}"
    demo = {source_colour(id_) for id_ in ("demo-nl", "demo-de", "demo-global")}
    assert len(demo) == 3
