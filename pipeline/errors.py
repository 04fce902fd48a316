"""Every error Orograph raises, in one tree.

OrographError
├── UsageError                    the request makes no sense                            exit 2
│   ├── BadIdentifier             a tile, cell or source id that does not parse
│   ├── ConfigError               a setting with a bad value
│   ├── SourceUnverified          a source with facts that are to be confirmed first
│   ├── PackageMissing            a command that needs an extra which is not installed
│   └── OutsideExtent             a query outside the extent a model was fitted to
├── InputError                    the input cannot give correct heights
│   ├── SourceUnknown             a source id that is in no catalogue
│   ├── SourceMissing             there is no object at the href                        exit 4
│   ├── SourceInaccessible        access denied, redirected, or no such bucket             exit 4
│   ├── IngestNeeded              a format or size that only `orograph ingest` reads
│   ├── SourceCorrupt             truncated, not a raster, checksum or value check failed
│   ├── SourceGridError           horizontal CRS missing or wrong, transform not usable
│   ├── NodataError               undeclared or contradictory nodata values
│   ├── SuspiciousSamples         heights that no survey gives, where the user asked to stop at them
│   ├── OutsideCoverage           no source has data in the tile
│   ├── AllVoid                   sources cover the tile but contain no valid height
│   ├── NoOverlap                 two rasters that belong together do not overlap
│   ├── BandMismatch              a raster with the wrong number of bands
│   ├── HeightsNotFinite          infinite heights or weights, or an array that is not a raster
│   ├── NoTrainingPixels          no valid pixel to fit or train on
│   └── VerticalError             heights cannot be transformed to the target vertical frame
│       ├── VerticalFrameMissing  a source or target without a vertical frame
│       ├── NoVerticalOperation   no pinned operation from frame to frame
│       │   └── FrameUnknown      no frame of the catalogue has this name                    exit 2
│       ├── GridMissing           the operation's grid is not installed                 exit 4
│       ├── GridCorrupt           the grid's SHA-256 differs from the pinned one
│       ├── OutsideAreaOfUse      the point is outside the area of use of operation or grid
│       ├── EpochMissing          a time-dependent operation without an epoch
│       └── DatumDisagreement     two independent routes differ by more than the limit
├── CoregistrationError           coregistration cannot be estimated from these data
├── ModelError                    a network's weights or outputs are invalid
│   └── ForeignModel              a file that is not a model of the expected kind or version
├── ExportError                   a format cannot represent the heights, name or grid
├── MemoryBudgetExceeded          projected peak memory is above the limit; nothing was started
├── StoreError                    objects cannot be stored
│   ├── StoreUnwritable           permission, credentials, read-only
│   ├── DiskFull                  no space left
│   ├── ObjectExists              put-if-absent found an object
│   └── PreconditionFailed        put-if-match found another ETag
├── TransientError                may pass without intervention                         retryable
│   ├── SourceUnavailable         5xx, 429, timeouts, connections
│   ├── SourceChanged             the ETag changed while the source was read
│   └── StoreUnavailable          the store does not respond
├── EngineError                   the infrastructure around a tile failed
│   ├── WorkerLost                the process died                                         retryable
│   ├── DeadlineExceeded          the tile took longer than its deadline                   retryable
│   ├── OutOfMemory               the operating system or Ray killed the worker            retryable once
│   ├── TileQuarantined           three attempts failed
│   ├── ResourcesMissing          the cluster has no such resource
│   └── ClusterAccessDenied            the cluster rejected our token
└── CatalogueError                a published item, collection or checksum is wrong
    └── ResultDiffers             two contents under one run key: not reproducible, or damaged

An error says what happened, where (tile, source, stage), and what to do (remedy). It can be pickled, so Ray can
transport it: subclasses must keep this constructor.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self


class OrographError(Exception):
    """Root of the tree.

    Args:
        message: The fault, with the offending value.
        tile: Tile or cell id concerned.
        source: Source id or href concerned.
        stage: Stage in which it happened.
        remedy: The action to take now.
    """

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        tile: str | None = None,
        source: str | None = None,
        stage: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.tile = tile
        self.source = source
        self.stage = stage
        self.remedy = remedy

    def at(self, *, tile: str | None = None, source: str | None = None, stage: str | None = None) -> Self:
        """Fill in context that was unknown where the error was raised; known fields stay unchanged."""
        self.tile = self.tile or tile
        self.source = self.source or source
        self.stage = self.stage or stage
        return self

    def __str__(self) -> str:
        context = ", ".join(
            f"{name} {value}"
            for name, value in (("tile", self.tile), ("source", self.source), ("stage", self.stage))
            if value
        )
        text = f"{self.message} [{context}]" if context else self.message
        return f"{text} — {self.remedy}" if self.remedy else text

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON-ready values, for reports and services."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "tile": self.tile,
            "source": self.source,
            "stage": self.stage,
            "remedy": self.remedy,
            "retryable": self.retryable,
        }

    def __reduce__(self) -> tuple[Any, ...]:
        context = {"tile": self.tile, "source": self.source, "stage": self.stage, "remedy": self.remedy}
        return (_rebuild, (type(self), self.message, context))


def _rebuild(cls: type[OrographError], message: str, context: dict[str, str | None]) -> OrographError:
    return cls(message, **context)


class UsageError(OrographError):
    """The request makes no sense."""

    exit_code = 2


class BadIdentifier(UsageError):
    """A tile, cell or source id that does not parse."""


class ConfigError(UsageError):
    """A setting with a bad value."""


class SourceUnverified(UsageError):
    """A source whose catalogue entry has unconfirmed facts; the message lists them."""


class PackageMissing(UsageError):
    """A Python package of an extra is not installed."""


class OutsideExtent(UsageError):
    """A query outside the extent that a model was fitted to."""


class InputError(OrographError):
    """The input cannot give correct heights."""


class SourceUnknown(InputError):
    """A source id that is in no catalogue."""

    exit_code = 2


class SourceMissing(InputError):
    """There is no object at the href."""

    exit_code = 4


class SourceInaccessible(InputError):
    """The server denies access, redirects, or has no such bucket; whether the object exists is unknown."""

    exit_code = 4


class IngestNeeded(InputError):
    """A format, or a size of a format, that no command but `orograph ingest` reads."""


class SourceCorrupt(InputError):
    """Truncated, not a raster, or rejected by a checksum or value check."""


class SourceGridError(InputError):
    """Horizontal CRS missing or wrong, or a transform that cannot be used."""


class NodataError(InputError):
    """Undeclared or contradictory nodata values."""


class SuspiciousSamples(InputError):
    """Implausible samples, where the user asked to stop at them."""


class OutsideCoverage(InputError):
    """No source has data in the tile."""


class AllVoid(InputError):
    """Sources cover the tile but contain no valid height."""


class NoOverlap(InputError):
    """Two rasters that belong together do not overlap."""


class BandMismatch(InputError):
    """A raster with the wrong number of bands."""


class HeightsNotFinite(InputError):
    """Infinite heights or weights, or an array that is not a raster."""


class NoTrainingPixels(InputError):
    """No valid pixel to fit or train on."""


class VerticalError(InputError):
    """Heights cannot be transformed to the target vertical frame."""


class VerticalFrameMissing(VerticalError):
    """A source or target without a vertical frame."""


class NoVerticalOperation(VerticalError):
    """No pinned operation leads from one frame to the other."""


class FrameUnknown(NoVerticalOperation):
    """No vertical frame of the catalogue has this name."""

    exit_code = 2


class GridMissing(VerticalError):
    """The operation's grid is not installed on this machine."""

    exit_code = 4


class GridCorrupt(VerticalError):
    """The grid's SHA-256 differs from the pinned one."""


class OutsideAreaOfUse(VerticalError):
    """The point is outside the area of use of the operation or of its grid."""


class EpochMissing(VerticalError):
    """A time-dependent operation without an epoch."""


class DatumDisagreement(VerticalError):
    """Two independent routes between frames differ by more than the limit."""


class CoregistrationError(OrographError):
    """Coregistration cannot be estimated from these data."""


class ModelError(OrographError):
    """A network's weights or outputs are invalid."""


class ForeignModel(ModelError):
    """A file that is not a model of the expected kind or version."""


class ExportError(OrographError):
    """A format cannot represent the heights, name or grid."""


class MemoryBudgetExceeded(OrographError):
    """Projected peak memory is above the limit; nothing was started."""


class StoreError(OrographError):
    """Objects cannot be stored."""


class StoreUnwritable(StoreError):
    """No permission, no credentials, or a read-only location."""


class DiskFull(StoreError):
    """No space left on the device."""


class ObjectExists(StoreError):
    """Put-if-absent found an object under the key."""


class PreconditionFailed(StoreError):
    """Put-if-match found another ETag than the expected one."""


class TransientError(OrographError):
    """A fault that may pass without intervention."""

    retryable = True


class SourceUnavailable(TransientError):
    """A source's server failed: 5xx, 429 or a timeout."""


class SourceChanged(TransientError):
    """The ETag changed while the source was read; the tile is started again."""


class StoreUnavailable(TransientError):
    """The store does not respond."""


class EngineError(OrographError):
    """The infrastructure around a tile failed."""


class WorkerLost(EngineError):
    """The worker process died."""

    retryable = True


class DeadlineExceeded(EngineError):
    """The tile took longer than its deadline."""

    retryable = True


class OutOfMemory(EngineError):
    """The operating system or Ray killed the worker for its memory use."""

    retryable = True


class TileQuarantined(EngineError):
    """Every attempt at the tile failed; the user has to release it."""


class ResourcesMissing(EngineError):
    """The cluster has no such resource; the job would wait indefinitely."""


class ClusterAccessDenied(EngineError):
    """The cluster rejected our token."""


class CatalogueError(OrographError):
    """A published item, collection or checksum is wrong."""


class ResultDiffers(CatalogueError):
    """Two contents under one run key: a result is not reproducible, or an object was damaged."""
