"""Every error Orograph raises, in one tree.

OrographError
├── UsageError                    what was asked for makes no sense                        exit 2
│   ├── BadIdentifier             a tile, cell or source id that does not parse
│   ├── ConfigError               a setting with a bad value
│   ├── SourceUnverified          a source with facts that are to be confirmed first
│   ├── PackageMissing            a command that needs an extra which is not installed
│   └── OutsideExtent             a query beyond the ground a model was fitted to
├── InputError                    the input cannot give right heights
│   ├── SourceUnknown             a source id that no catalogue holds
│   ├── SourceMissing             nothing lies at the href                                 exit 4
│   ├── SourceInaccessible        access denied, redirected, or no such bucket             exit 4
│   ├── SourceCorrupt             truncated, not a raster, checksum or value gate failed
│   ├── SourceGridError           horizontal CRS missing or wrong, transform not usable
│   ├── NodataError               undeclared or contradictory nodata values
│   ├── SuspiciousSamples         heights that no survey gives, where the user asked to stop at them
│   ├── OutsideCoverage           no source has data in the tile
│   ├── AllVoid                   sources cover the tile but hold no valid height
│   ├── NoOverlap                 two rasters that belong together share no ground
│   ├── BandMismatch              a raster with another number of bands than was asked for
│   ├── HeightsNotFinite          infinite heights or weights, or an array that is no raster
│   ├── NoTrainingPixels          not one pixel to fit or train on
│   └── VerticalError             heights cannot be moved to the target frame rightly
│       ├── VerticalFrameMissing  a source or target without a vertical frame
│       ├── NoVerticalOperation   no pinned operation from frame to frame
│       │   └── FrameUnknown      no frame of the catalogue has this name                    exit 2
│       ├── GridMissing           the operation's grid is not on this machine              exit 4
│       ├── GridCorrupt           the grid's sha256 is not the pinned one
│       ├── OutsideAreaOfUse      the place lies beyond the operation's or grid's area
│       ├── EpochMissing          a time-dependent operation without an epoch
│       └── DatumDisagreement     two independent routes differ by more than the limit
├── CoregistrationError           estimation was asked of data that cannot carry it
├── ModelError                    a network's weights or outputs are not to be trusted
│   └── ForeignModel              a file that is no model of the wanted kind, or of another version
├── ExportError                   a format cannot hold the heights, name or grid
├── MemoryBudgetExceeded          projected peak memory is above the limit; nothing was started
├── StoreError                    objects cannot be kept
│   ├── StoreUnwritable           permission, credentials, read-only
│   ├── DiskFull                  no space left
│   ├── ObjectExists              put-if-absent found an object
│   └── PreconditionFailed        put-if-match found another ETag
├── TransientError                may pass on its own                                      retryable
│   ├── SourceUnavailable         5xx, 429, timeouts, connections
│   ├── SourceChanged             the ETag changed while the source was read
│   └── StoreUnavailable          the store does not answer
├── EngineError                   the machinery around a tile failed
│   ├── WorkerLost                the process died                                         retryable
│   ├── DeadlineExceeded          the tile took longer than its deadline                   retryable
│   ├── OutOfMemory               the operating system or Ray killed the worker            retryable once
│   ├── TileQuarantined           three attempts failed
│   ├── ResourcesMissing          the cluster has no such resource
│   └── ClusterRefused            the cluster does not accept our token
└── CatalogueError                a published item, collection or checksum is wrong
    └── ResultDiffers             one run key, two contents: a result is not reproducible, or was damaged

An error names what is wrong, where (tile, source, stage), and what to do (remedy). It survives pickling, so Ray can
carry it: subclasses must keep this constructor.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self


class OrographError(Exception):
    """Root of the tree.

    Args:
        message: What is wrong, with the offending value.
        tile: Tile or cell id concerned.
        source: Source id or href concerned.
        stage: Stage in which it happened.
        remedy: What the reader can do now.
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
        """Fill in context that was unknown where the error was raised; what is known stays."""
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
    """What was asked for makes no sense."""

    exit_code = 2


class BadIdentifier(UsageError):
    """A tile, cell or source id that does not parse."""


class ConfigError(UsageError):
    """A setting with a bad value."""


class SourceUnverified(UsageError):
    """A source whose entry has facts that are not certain; the message says what to confirm."""


class PackageMissing(UsageError):
    """A Python package of an extra is not installed."""


class OutsideExtent(UsageError):
    """A query beyond the ground a model was fitted to."""


class InputError(OrographError):
    """The input cannot give right heights."""


class SourceUnknown(InputError):
    """A source id that no catalogue holds."""

    exit_code = 2


class SourceMissing(InputError):
    """Nothing lies at the href."""

    exit_code = 4


class SourceInaccessible(InputError):
    """The server denies access, redirects, or has no such bucket; whether the object exists is unknown."""

    exit_code = 4


class SourceCorrupt(InputError):
    """Truncated, not a raster, or refused by a checksum or value gate."""


class SourceGridError(InputError):
    """Horizontal CRS missing or wrong, or a transform that cannot be used."""


class NodataError(InputError):
    """Undeclared or contradictory nodata values."""


class SuspiciousSamples(InputError):
    """Samples that no survey gives, where the user asked to stop at them."""


class OutsideCoverage(InputError):
    """No source has data in the tile."""


class AllVoid(InputError):
    """Sources cover the tile but hold no valid height."""


class NoOverlap(InputError):
    """Two rasters that belong together share no ground."""


class BandMismatch(InputError):
    """A raster with another number of bands than was asked for."""


class HeightsNotFinite(InputError):
    """Infinite heights or weights, or an array that is no raster."""


class NoTrainingPixels(InputError):
    """Not one pixel to fit or train on."""


class VerticalError(InputError):
    """Heights cannot be moved to the target frame rightly."""


class VerticalFrameMissing(VerticalError):
    """A source or target without a vertical frame."""


class NoVerticalOperation(VerticalError):
    """No pinned operation leads from one frame to the other."""


class FrameUnknown(NoVerticalOperation):
    """No vertical frame of the catalogue has this name."""

    exit_code = 2


class GridMissing(VerticalError):
    """The operation's grid is not on this machine."""

    exit_code = 4


class GridCorrupt(VerticalError):
    """The grid's sha256 is not the pinned one."""


class OutsideAreaOfUse(VerticalError):
    """The place lies beyond the operation's or its grid's area."""


class EpochMissing(VerticalError):
    """A time-dependent operation without an epoch."""


class DatumDisagreement(VerticalError):
    """Two independent routes between frames differ by more than the limit."""


class CoregistrationError(OrographError):
    """Estimation was asked of data that cannot carry it."""


class ModelError(OrographError):
    """A network's weights or outputs are not to be trusted."""


class ForeignModel(ModelError):
    """A file that is no model of the wanted kind, or of another version."""


class ExportError(OrographError):
    """A format cannot hold the heights, name or grid."""


class MemoryBudgetExceeded(OrographError):
    """Projected peak memory is above the limit; nothing was started."""


class StoreError(OrographError):
    """Objects cannot be kept."""


class StoreUnwritable(StoreError):
    """Permission, credentials, or a read-only place."""


class DiskFull(StoreError):
    """No space left on the device."""


class ObjectExists(StoreError):
    """Put-if-absent found an object under the key."""


class PreconditionFailed(StoreError):
    """Put-if-match found another ETag than the expected one."""


class TransientError(OrographError):
    """May pass on its own."""

    retryable = True


class SourceUnavailable(TransientError):
    """A source's server does not answer as it should: 5xx, 429, timeouts."""


class SourceChanged(TransientError):
    """The ETag changed while the source was read; the tile starts again."""


class StoreUnavailable(TransientError):
    """The store does not answer."""


class EngineError(OrographError):
    """The machinery around a tile failed."""


class WorkerLost(EngineError):
    """The worker process died."""

    retryable = True


class DeadlineExceeded(EngineError):
    """The tile took longer than its deadline."""

    retryable = True


class OutOfMemory(EngineError):
    """The operating system or Ray killed the worker for its memory."""

    retryable = True


class TileQuarantined(EngineError):
    """Every attempt at the tile failed; it waits for a person."""


class ResourcesMissing(EngineError):
    """The cluster has no such resource; waiting would last for ever."""


class ClusterRefused(EngineError):
    """The cluster does not accept our token."""


class CatalogueError(OrographError):
    """A published item, collection or checksum is wrong."""


class ResultDiffers(CatalogueError):
    """One run key, two contents: a result is not reproducible, or an object was damaged."""
