"""Statistics of a band, gathered block by block, independent of the order of blocks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.formats import kernels

_TAGS: Final = {
    "minimum": "STATISTICS_MINIMUM",
    "maximum": "STATISTICS_MAXIMUM",
    "mean": "STATISTICS_MEAN",
    "stddev": "STATISTICS_STDDEV",
    "valid_percent": "STATISTICS_VALID_PERCENT",
}


@dataclass(frozen=True, slots=True)
class BandStatistics:
    """Minimum, maximum, mean and standard deviation of the valid pixels (None without any) and their share in %."""

    minimum: float | None
    maximum: float | None
    mean: float | None
    stddev: float | None
    valid_percent: float

    def to_dict(self) -> dict[str, float]:
        """The available statistics by their STAC names."""
        return {name: value for name in _TAGS if (value := getattr(self, name)) is not None}

    def to_tags(self) -> dict[str, str]:
        """The statistics as GDAL's band metadata."""
        return {_TAGS[name]: f"{value:.10g}" for name, value in self.to_dict().items()}

    @classmethod
    def from_tags(cls, tags: dict[str, str]) -> BandStatistics:
        """Read the output of `to_tags`."""
        values = {name: float(tags[tag]) if tag in tags else None for name, tag in _TAGS.items()}
        percent = values.pop("valid_percent")
        return cls(**values, valid_percent=percent if percent is not None else 0.0)


@dataclass(slots=True)
class Gatherer:
    """Collects the statistics of one band; a few numbers per block are kept, and summed in block order."""

    pixels: int
    parts: dict[tuple[int, int], tuple[float, ...]] = field(default_factory=dict)

    def take(self, at: tuple[int, int], values: npt.NDArray[Any], nodata: float | None) -> npt.NDArray[Any]:
        """Measure a block that starts at (row, column); returns it as files store it: NaN of floats as `nodata`."""
        if values.dtype != np.float32:
            self.parts[at] = kernels.measure_integers(values, int(nodata or 0), nodata is not None)
            return values
        sealed = np.empty(values.shape, np.float32)
        self.parts[at] = kernels.seal_float(values, nodata, sealed)
        return sealed

    def result(self) -> BandStatistics:
        """The statistics of all gathered blocks."""
        parts = [self.parts[at] for at in sorted(self.parts)]
        count = math.fsum(part[0] for part in parts)
        percent = 100.0 * count / self.pixels
        if not count:
            return BandStatistics(None, None, None, None, percent)
        mean = math.fsum(part[3] for part in parts) / count
        variance = math.fsum(part[4] for part in parts) / count - mean * mean
        low, high = min(part[1] for part in parts), max(part[2] for part in parts)
        return BandStatistics(low, high, mean, math.sqrt(max(0.0, variance)), percent)
