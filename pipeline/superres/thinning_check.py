"""Check a source's declared thinning against its heights, once per source, before a network relies on it.

A network for averaged input is worse than cubic on decimated input. The decision must not differ between neighbouring
tiles, so it depends on the source alone, never on the tile or the area that is planned.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source, Thinning
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.sources.refs import ThinningCheck
from orograph.pipeline.sources.sensor import RESOLVERS
from orograph.pipeline.sources.single_raster import HeightRaster
from orograph.pipeline.superres.choice import upsampling_of
from orograph.pipeline.superres.thinning_evidence import PLACES, contradicted, log_odds_at
from orograph.pipeline.superres.zoom import UPSAMPLED_FROM

_EUROPE_DEG: Final = (-25.0, 34.0, 45.0, 72.0)
_LOG = logging.getLogger(__name__)


def relies_on_thinning(source: Source, settings: ProcessingSettings) -> bool:
    """Return whether a wrong declaration matters: averaging is declared and a mode-dependent resolver is used."""
    # Planning, and `orograph --help`, should not wait for the compiler behind these.
    from orograph.pipeline.superres.interpolants import INTERPOLANTS

    superres = upsampling_of(source, settings).name
    return (
        source.thinning is Thinning.AVERAGED
        and not source.trust_thinning
        and not (superres in RESOLVERS and source.sensor is not None)
        and superres not in ("none", *INTERPOLANTS)
        and source.resolution_m / settings.pixel_size_m >= UPSAMPLED_FROM
    )


def sample_points_deg(source: Source) -> Iterator[tuple[float, float, float, float]]:
    """Nine points spread over a source's area (within Europe where it reaches beyond), as boxes without extent."""
    west, south = (max(a, b) for a, b in zip(source.area_deg[:2], _EUROPE_DEG[:2], strict=True))
    east, north = (min(a, b) for a, b in zip(source.area_deg[2:], _EUROPE_DEG[2:], strict=True))
    if west >= east or south >= north:
        west, south, east, north = source.area_deg
    for row in (5, 3, 1):
        for column in (1, 3, 5):
            lon, lat = west + (east - west) * column / 6.0, south + (north - south) * row / 6.0
            # A hair of extent: a point on a whole degree belongs to one cell all the same.
            yield lon, lat, lon + 1e-9, lat + 1e-9


def check_thinning(source: Source, hrefs: Sequence[str], opened: Callable[[str], RasterFile] = Path) -> ThinningCheck:
    """Test nine windows of 96 pixels, spread over the source's files in the order given, or over its only file.

    Args:
        source: The source.
        hrefs: Its files.
        opened: The local file or sparse copy of an href.

    Raises:
        SourceCorrupt, SourceGridError, NodataError: a file cannot be read.
    """
    odds = []
    for place in range(PLACES) if hrefs else ():
        href = hrefs[place * len(hrefs) // PLACES]
        file = opened(href)
        with HeightRaster(read_header(file, source), source.id, file) as raster:
            found = log_odds_at(raster, place)
        if found is not None:
            odds.append(found)
    used = Thinning.DECIMATED if contradicted(odds) else source.thinning
    if used is not source.thinning:
        _LOG.warning("%s is declared averaged but its heights are samples; it is treated as decimated", source.id)
    return ThinningCheck(used=used, windows=len(odds), log_odds=round(float(np.median(odds)), 3) if odds else None)
