"""References to sources and files as a job carries them."""

from __future__ import annotations

from pydantic import Field

from orograph.pipeline.sources.catalogue import Source, Thinning, _Frozen
from orograph.pipeline.sources.sensor import SensorModel


class FileRef(_Frozen):
    """One object of a source as it was when the job was planned.

    Attributes:
        href: Local path or URL (`s3://`, `https://`).
        etag: Identity of the content; for local files `sha256:<hex>`.
        size_bytes: Size of the object.
    """

    href: str
    etag: str
    size_bytes: int = Field(ge=0)


class HorizontalOperation(_Frozen):
    """A pinned way from EPSG:3035 (east, north in metres) to a CRS (x, y or longitude, latitude).

    Attributes:
        definition: PROJ pipeline.
        description: PROJ's name of it.
        accuracy_m: Published accuracy; None where PROJ knows none.
        better: What would be more accurate if its grid were at hand.
        grids: Names of the grids it reads and the sha256 of each.
    """

    definition: str
    description: str
    accuracy_m: float | None = None
    better: str | None = None
    grids: dict[str, str] = Field(default_factory=dict)

    def identity(self) -> dict[str, object]:
        """What goes into a run key; grids only where there are any, so that older keys stay."""
        return self.model_dump(mode="json", exclude=None if self.grids else {"grids"})


class ThinningCheck(_Frozen):
    """What a source's own heights say of its declared thinning, looked at before a network relies on it.

    Attributes:
        used: The mode heights are treated by.
        windows: Windows that could tell.
        log_odds: Median of their natural log-odds of averaging; None where no window could tell.
    """

    used: Thinning
    windows: int = Field(ge=0)
    log_odds: float | None = None


class SourceRef(_Frozen):
    """A source, the files of it that touch a tile (earlier ones win), and the pinned way to its horizontal CRS.

    Attributes:
        thinning_check: Of the source as a whole, the same in every tile; None where nothing relies on the thinning.
    """

    source: Source
    files: tuple[FileRef, ...] = Field(min_length=1)
    horizontal: HorizontalOperation | None = None
    thinning_check: ThinningCheck | None = None

    @property
    def thinning(self) -> Thinning:
        """The mode heights are treated by: the declared one unless the heights contradict it."""
        return self.source.thinning if self.thinning_check is None else self.thinning_check.used

    @property
    def sensor(self) -> SensorModel | None:
        """The source's sensor model, or one with its declared noise; None where neither is known."""
        source = self.source
        if source.sensor is not None or source.noise_m == 0.0:
            return source.sensor
        return SensorModel.declared(source.resolution_m, self.thinning is Thinning.AVERAGED, source.noise_m)
