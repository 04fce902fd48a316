"""Validation terrain by location: whole sites, or a piece of every site; never random patches."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from orograph.pipeline.core.raster import BoolArray
from orograph.pipeline.learning.superres.dataset import Site, SiteList, load_site

_LOG = logging.getLogger(__name__)

GAP_PX: Final = 24
"""Unused native pixels between a piece set aside and the training terrain."""
LEAST_PX: Final = 90
"""Least width of a piece, native pixels: 15 at either side are not evaluated, and coarser levels need some."""
_MOST: Final = 1.0 / 3.0
"""Largest part of a site that is set aside; a site too small to leave a useful piece is trained on whole."""

Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSplit:
    """Training and validation sites of a run.

    Attributes:
        training: Sites, or their remaining parts.
        judging: Sites held out whole, or pieces of the training sites; empty if all terrain is used for training.
    """

    training: tuple[Site, ...]
    judging: tuple[Site, ...]


def gathered(
    training: SiteList, held_out: SiteList | None, data: Path, set_aside: float, patch_px: int, *, judge: bool = True
) -> TrainingSplit:
    """Load the sites of a run.

    Args:
        training: Sites to train on.
        held_out: Sites held out whole, or None.
        data: Folder of their files.
        set_aside: Share of each training site to set aside if no site is held out; 0 for none.
        patch_px: Side of a training patch, native pixels; the remaining part must contain one.
        judge: Whether to load the held-out sites.

    Raises:
        SourceMissing: A site's file does not exist.
    """
    sites = tuple(load_site(spec, data) for spec in training.sites)
    if held_out is not None:
        return TrainingSplit(sites, tuple(load_site(spec, data) for spec in held_out.sites) if judge else ())
    if set_aside == 0.0:
        return TrainingSplit(sites, ())
    split = [parted(site, set_aside, patch_px) for site in sites]
    pieces = tuple(piece for _, piece in split if piece is not None)
    if not pieces:
        _LOG.warning(
            "no site is large enough to set terrain aside: the run is not validated, and error bands are too narrow"
        )
    return TrainingSplit(tuple(rest for rest, _ in split), pieces)


def parted(site: Site, share: float, patch_px: int) -> tuple[Site, Site | None]:
    """Split a site into terrain for training and a piece set aside.

    The piece is the side of a raster with most measured pixels, or the last chips of a mosaic. It is None, and the site
    stays whole, if it would be more than a third of the site.

    Args:
        site: Site in memory.
        share: Part to set aside, in (0, 1).
        patch_px: Side of a training patch, native pixels; the remaining part must contain one.
    """
    count = len(site.heights_m)
    if count > 1:
        kept = count - max(1, round(share * count))
        return _chips(site, slice(kept)), _chips(site, slice(kept, None))
    if count == 0:
        return site, None
    valid = site.valid[0]
    sides = [cut for axis in (0, 1) for cut in _cuts(valid.shape, axis, share, patch_px)]
    if not sides or min(valid.shape) < LEAST_PX:
        return site, None
    rest, piece = max(sides, key=lambda cut: float(valid[cut[1]].mean()))
    return _cropped(site, rest), _cropped(site, piece)


def _cuts(shape: tuple[int, ...], axis: int, share: float, patch_px: int) -> Sequence[tuple[Window, Window]]:
    """Return the remaining part and the part set aside when a raster is cut near either end of an axis."""
    extent = shape[axis]
    piece = max(round(share * extent), LEAST_PX)
    if piece > _MOST * extent or extent - piece - GAP_PX < patch_px:
        return ()
    ends = (
        (slice(0, extent - piece - GAP_PX), slice(extent - piece, extent)),
        (slice(piece + GAP_PX, extent), slice(0, piece)),
    )
    everything = slice(None)
    return [
        ((rest, everything), (cut, everything)) if axis == 0 else ((everything, rest), (everything, cut))
        for rest, cut in ends
    ]


def _chips(site: Site, which: slice) -> Site:
    return Site(site.spec, site.heights_m[which], site.valid[which])


def _cropped(site: Site, window: Window) -> Site:
    heights = np.ascontiguousarray(site.heights_m[0][window])
    valid: BoolArray = np.ascontiguousarray(site.valid[0][window])
    return Site(site.spec, (heights,), (valid,))
