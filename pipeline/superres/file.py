"""Super-resolution of a raster file, window by window, into a COG of heights and their standard error."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.grid import PixelWindow, windows
from orograph.pipeline.core.progress import report as report_progress
from orograph.pipeline.core.progress import tracked
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import AllVoid
from orograph.pipeline.formats import cog
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.facts import Declared
from orograph.pipeline.sources.single_raster import HeightRaster, opened_heights, reject_overwriting
from orograph.pipeline.superres.interpolation_error import StatedError
from orograph.pipeline.superres.resolver import Resolver
from orograph.pipeline.superres.thinning_evidence import PLACES, contradicted, log_odds_at

_LOG = logging.getLogger(__name__)

_STANDARD: Final = "standard error"
_INTERPOLATION: Final = "interpolation error"

WINDOW_PX: Final = 480
"""Coarse pixels read at once: two lattice blocks of the networks, so that none is computed twice."""


@dataclass(frozen=True, slots=True)
class SuperresReport:
    """Summary of the written file.

    Attributes:
        path: The COG.
        shape: Rows and columns.
        pixel_size_m: Along columns and rows, metres.
        median_sigma_m: Median of the error band over a sample, or None if it is zero everywhere.
        band: Name of the error band: `standard error` if the source's own error is in it, else `interpolation error`.
        thinning: The mode that was used: decimated if averaging was declared but the heights contradict it.
    """

    path: Path
    shape: tuple[int, int]
    pixel_size_m: tuple[float, float]
    median_sigma_m: float | None
    band: str
    thinning: Thinning


def superresolve_file(
    source: Path,
    target: Path,
    up: Resolver,
    factor: int,
    thinning: Thinning,
    *,
    extra_nodata: tuple[float, ...] = (),
    lerc_max_error_m: float | None = None,
    trust_thinning: bool = False,
    accuracy_m: float | None = None,
) -> SuperresReport:
    """Write `source` at `factor` times its resolution: band 1 heights, band 2 their error in metres.

    The error is the half-width of the 68 % band. Without the source's own accuracy the band is named "interpolation
    error", because that is all it contains. The peak memory does not depend on the raster's size.

    Args:
        source: Raster of heights, north up, metres.
        target: The COG, written atomically.
        up: Resolver, by `orograph.pipeline.superres.resolver`.
        factor: Fine pixels along a coarse pixel's side.
        thinning: Whether the source was decimated or averaged.
        extra_nodata: Additional void values.
        lerc_max_error_m: Largest error LERC compression may make; lossless ZSTD when None.
        trust_thinning: Use the declared mode without checking it against the heights.
        accuracy_m: Standard deviation of the source's own heights, without noise that `up` includes; added to the band,
            which is then named "standard error".

    Raises:
        SourceMissing, SourceCorrupt, BandMismatch: The file does not exist, or is not a raster of one band.
        SourceGridError: The file has no CRS, is rotated, or its heights are not in metres.
        ConfigError: The target is the source.
        AllVoid: Every pixel is void.
        NodataError: The heights contain an undeclared void value.
        ModelError: The network gave NaN or infinity.
    """
    reject_overwriting(source, target)
    up = up if isinstance(up, StatedError) else StatedError(up)
    band = _INTERPOLATION if accuracy_m is None else _STANDARD
    with opened_heights(source, Declared(nodata=extra_nodata)) as raster:
        size, coarse = raster.pixel_size_m, raster.geobox
        shape = (coarse.shape[0] * factor, coarse.shape[1] * factor)
        fine = GeoBox(shape, coarse.affine * coarse.affine.scale(1.0 / factor), coarse.crs)
        if not trust_thinning:
            thinning = _checked(raster, thinning)
        partial = target.with_name(f".{target.name}.scratch.tif")
        compression: cog.Compression = "zstd" if lerc_max_error_m is None else "lerc-zstd"
        encoding = cog.Encoding(compression, lerc_max_error_m or 0.0)
        sample: list[FloatArray] = []
        held = False
        with cog.scratch(partial, fine, bands=2, encoding=encoding) as writer:
            for window in tracked(list(windows(raster.shape, WINDOW_PX)), "super-resolution"):
                heights, sigma = _one(raster, window, up, factor, thinning, size)
                held = held or bool(np.isfinite(heights).any())
                if accuracy_m is not None:
                    sigma = np.hypot(sigma, np.float32(accuracy_m))
                place = PixelWindow(
                    window.row * factor, window.col * factor, window.height * factor, window.width * factor
                )
                writer.write(place, np.stack((heights, sigma)))
                sample.append(sigma[::37, ::37].ravel())
            if not held:
                raise AllVoid(
                    f"every pixel of {source.name} is void", source=str(source), remedy="check its nodata value"
                )
        report_progress("writing overviews", 0, 0)
        cog.finish(
            partial,
            target,
            band_names=("elevation", band),
            band_units=("m", "m"),
            tags={"OROGRAPH_MODEL": up.name, "OROGRAPH_FACTOR": str(factor), "OROGRAPH_THINNING": thinning.value},
        )
    known = np.concatenate(sample) if sample else np.empty(0, np.float32)
    known = known[np.isfinite(known) & (known > 0.0)]
    fine_size = (size[0] / factor, size[1] / factor)
    return SuperresReport(target, shape, fine_size, float(np.median(known)) if known.size else None, band, thinning)


def _checked(raster: HeightRaster, declared: Thinning) -> Thinning:
    """The declared mode, checked on up to nine windows spread over the raster: the median of their evidence."""
    if declared is not Thinning.AVERAGED:
        return declared
    found = (log_odds_at(raster, place) for place in range(PLACES))
    if contradicted([odds for odds in found if odds is not None]):
        _LOG.warning("%s is declared averaged but its heights are samples; it is treated as decimated", raster.name)
        return Thinning.DECIMATED
    return declared


def _one(
    raster: HeightRaster,
    window: PixelWindow,
    up: StatedError,
    factor: int,
    thinning: Thinning,
    size: tuple[float, float],
) -> tuple[FloatArray, FloatArray]:
    """One window with its halo, super-resolved and cropped."""
    halo = up.halo_px
    top, left = max(0, window.row - halo), max(0, window.col - halo)
    bottom = min(raster.height, window.row + window.height + halo)
    right = min(raster.width, window.col + window.width + halo)
    heights = raster.read(top, left, bottom - top, right - left)
    fine, sigma = up(heights, factor=factor, thinning=thinning, pixel_size_m=size, origin_px=(top, left))
    rows = slice((window.row - top) * factor, (window.row - top + window.height) * factor)
    columns = slice((window.col - left) * factor, (window.col - left + window.width) * factor)
    return np.ascontiguousarray(fine[rows, columns]), sigma[rows, columns]
