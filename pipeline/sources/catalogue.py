"""Sources: descriptions of elevation datasets (CRS, vertical frame, accuracy, licence) and of their files."""

from __future__ import annotations

import contextlib
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from orograph.pipeline.core.frames import FrameId
from orograph.pipeline.core.height_unit import height_unit
from orograph.pipeline.core.pixel_is import PixelIs
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.core.yaml_text import parse_yaml
from orograph.pipeline.errors import ConfigError, SourceUnknown
from orograph.pipeline.sources.land_cover import LandCover
from orograph.pipeline.sources.sensor import SensorModel, bundled_sensor

BUNDLED_CATALOGUE: Final = Path(__file__).with_name("bundled")
"""Folder of YAML files, one per country or group."""

_MOST_NAMED: Final = 20
"""Larger catalogues name only similar ids in errors."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Thinning(StrEnum):
    """Method that made a coarse product from fine measurements; super-resolution needs it."""

    DECIMATED = "decimated"
    """Every n-th sample was kept."""
    AVERAGED = "averaged"
    """Samples are means over a footprint."""


class Provider(_Frozen):
    """An organisation that made, licenses or hosts the data; a provider object of STAC."""

    name: str
    roles: tuple[Literal["licensor", "producer", "processor", "host"], ...] = ("producer", "licensor")
    url: str | None = None


class Files(_Frozen):
    """Data in a list of files; local paths may contain glob patterns."""

    kind: Literal["files"] = "files"
    hrefs: tuple[str, ...] = Field(min_length=1)


class CellTemplate(_Frozen):
    """Data in one file per cell: of 1 degree, or of a square grid in a projected CRS.

    For 1 degree cells the template may use `{ns}`, `{lat:02d}`, `{ew}`, `{lon:03d}` of the cell's south-west corner
    (absolute values); for cells of `cell_m` metres `{e}` and `{n}` of the south-west corner in metres, `{n_top}` of the
    north-west corner, `{e_km}` and `{n_km}` in kilometres.
    A cell without an object is sea or outside the product when `missing_is_void`.

    Attributes:
        cell_m: Side of square cells, metres of `crs`; None means cells of 1 degree.
        crs: Projected CRS of the grid of square cells.
        origin_m: East and north of one corner of the grid.
        cells: Href of a text file that lists the cells that exist, one name per line: a cell's href, file name (with or
            without suffix) or id. Without it, a cell counts as absent only if other cells are readable.
    """

    kind: Literal["cells"] = "cells"
    href: str
    missing_is_void: bool = True
    cells: str | None = None
    cell_m: float | None = Field(default=None, gt=0)
    crs: str | None = None
    origin_m: tuple[float, float] = (0.0, 0.0)

    @model_validator(mode="after")
    def _grid_is_whole(self) -> Self:
        if (self.cell_m is None) != (self.crs is None):
            raise ValueError("square cells need both cell_m and crs")
        return self


class Portal(_Frozen):
    """Data that the user downloads by hand: from a portal, by a form, with a login, or from a service that resamples.

    Attributes:
        href: The page or service.
        how: Content and how to obtain it.
    """

    kind: Literal["portal"] = "portal"
    href: str
    how: str


class StacLocation(_Frozen):
    """Data listed by a STAC collection (static) or API."""

    kind: Literal["stac"] = "stac"
    href: str
    collection: str | None = None
    asset: str = "data"


class TileIndex(_Frozen):
    """Data listed by a tile index: GDAL GTI, GeoPackage, FlatGeobuf, GeoJSON, shapefile, GeoParquet, or CSV of URLs.

    Attributes:
        href: The index; relative locations are taken from its folder.
        layer: Layer of the index, where it has several.
        location: Column of the files' locations.
    """

    kind: Literal["tile-index"] = "tile-index"
    href: str
    layer: str | None = None
    location: str = "location"


class FeatureService(_Frozen):
    """Data listed by an OGC API Features collection, one feature per file.

    Attributes:
        href: The collection's items.
        location: Property of the files' URLs; where there is none, the link with relation `enclosure` or `data`.
    """

    kind: Literal["features"] = "features"
    href: str
    location: str = "location"


class AtomFeed(_Frozen):
    """Data listed by an ATOM feed, such as an INSPIRE download service; feeds it links to are followed.

    Attributes:
        href: The feed.
        pattern: Only files whose URL matches this pattern (`*.tif`) are taken.
    """

    kind: Literal["atom"] = "atom"
    href: str
    pattern: str = "*"


Listed = StacLocation | TileIndex | FeatureService | AtomFeed
"""Places that list files."""
Location = Annotated[Files | CellTemplate | Portal | Listed, Field(discriminator="kind")]


class Access(_Frozen):
    """Access to a source's server; credentials stay in the environment, the AWS files or the machine's role.

    Attributes:
        endpoint_url: S3 server of the source; Amazon's for anonymous sources, else the store's
            (`OROGRAPH_S3_ENDPOINT_URL`) when None.
        region: AWS region of the bucket.
        profile: Profile of the AWS configuration files.
        requester_pays: The bucket's reader pays for requests.
        headers: Sent with each HTTP request; `${NAME}` is replaced by an environment variable of the machine that
            reads.
        options: Passed to the fsspec file system of other protocols; `${NAME}` as in headers.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    requester_pays: bool = False
    headers: dict[str, str] = Field(default_factory=dict)
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)


class UserGrid(_Frozen):
    """A grid of the user's own: path and the sha256 it must have.

    Attributes:
        path: GeoTIFF in degrees of geographic ETRS89.
        frame_to: Frame the grid leads to, H_to = H + grid: the ETRS89 ellipsoid for a geoid.
        accuracy_m: Standard deviation of its values.
    """

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    accuracy_m: float = Field(gt=0)
    frame_to: FrameId = "EPSG:4937"


class Source(_Frozen):
    """One elevation dataset.

    Attributes:
        horizontal_crs: CRS of the files (2D), e.g. `EPSG:28992`; files that declare another are rejected.
        vertical_frame: Id or name in the vertical catalogue, e.g. `EPSG:5709` or `NAP`; required.
        vertical_grid: The user's own geoid grid to the ETRS89 ellipsoid, for frames without a grid in the catalogue.
        resolution_m: Ground sampling distance, metres.
        nodata: Values that mean void, in addition to the file's nodata value and NaN.
        pixel: Pixel interpretation; taken from the files if omitted.
        unit: Unit of the heights if the files do not declare it: `metre`, `foot`, `US survey foot`.
        sidecars: Whether remote files may have side-cars, which planning then requests. By default, listed files may
            have them and cells of a template may not.
        priority: Where sources overlap, the one with the larger value is used; equal priorities are ranked by
            resolution.
        accuracy_m: Standard deviation of a height on open terrain, metres.
        horizontal_accuracy_m: Standard deviation of a position along each axis, metres; multiplied by the slope.
        noise_m: Standard deviation from pixel to pixel, metres. A network then treats samples as uncertain; at 0 it
            reproduces them exactly.
        epoch: Decimal year of the data's coordinates, for time-dependent operations.
        area_deg: West, south, east, north of the source's data.
        anonymous: Read public buckets without credentials.
        access: Access to the source's server.
        land_cover: Land-cover map that shows a bare-earth model trees and buildings.
        terrain: Id of a bare-earth model of the same terrain, such as `gedtm30`. In a run that uses both, bare earth by
            fusion takes the level under canopy from it, and its own heights fill the gaps of this source only.
        sensor: Measured footprint and noise, or the name of a bundled sensor model such as `srtm`.
        licence: SPDX id, or `proprietary` with the licence's own name in `licence_name`.
        attribution: Credit as the provider words it.
        country: ISO 3166 code of country or region (`AT`, `DE-BY`, `GB-SCT`), `GLOBAL` for products of the world.
        layer: `error` marks a layer of standard deviations; it can be fetched and mirrored, never merged as heights.
        unverified: Facts of the entry that are not certain, each with the question to confirm.
        accept_unverified: The user accepts these facts; set by `--accept-unverified`.
        notes: Known problems of the product.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    title: str
    providers: tuple[Provider, ...] = Field(min_length=1)
    country: str | None = Field(default=None, pattern=r"^(GLOBAL|[A-Z]{2}(-[A-Z]{2,3})?)$")
    licence: str
    licence_name: str | None = None
    licence_url: str | None = None
    attribution: str
    data: Location
    horizontal_crs: str
    vertical_frame: FrameId
    vertical_grid: UserGrid | None = None
    surface: Surface
    resolution_m: float = Field(gt=0)
    thinning: Thinning
    nodata: tuple[float, ...] = ()
    pixel: PixelIs | None = None
    unit: str | None = None
    sidecars: bool | None = None
    priority: int = 0
    accuracy_m: float = Field(gt=0)
    horizontal_accuracy_m: float = Field(default=0.0, ge=0)
    noise_m: float = Field(default=0.0, ge=0)
    epoch: float | None = Field(default=None, ge=1900, le=2100)
    start: datetime | None = None
    end: datetime | None = None
    area_deg: tuple[float, float, float, float] = (-180.0, -90.0, 180.0, 90.0)
    trust_thinning: bool = False
    anonymous: bool = False
    access: Access = Access()
    land_cover: LandCover | None = None
    terrain: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    sensor: SensorModel | None = None
    layer: Literal["height", "error"] = "height"
    unverified: tuple[str, ...] = ()
    accept_unverified: bool = False
    notes: tuple[str, ...] = ()

    @field_validator("sensor", mode="before")
    @classmethod
    def _bundled_by_name(cls, value: object) -> object:
        return bundled_sensor(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _crs_are_known(self) -> Self:
        from pyproj import CRS  # 0.3 s that `orograph --help` need not wait
        from pyproj.exceptions import CRSError

        try:
            horizontal = CRS.from_user_input(self.horizontal_crs)
        except CRSError as error:
            raise ValueError(f"horizontal_crs {self.horizontal_crs!r} is not a CRS") from error
        if horizontal.is_compound or horizontal.is_vertical:
            raise ValueError(f"horizontal_crs {self.horizontal_crs!r} must be 2D; heights go by vertical_frame")
        return self

    @model_validator(mode="after")
    def _unit_is_known(self) -> Self:
        if self.unit is not None and height_unit(self.unit) is None:
            raise ValueError(f"unit {self.unit!r} is not a unit of heights: metre, foot, US survey foot")
        return self

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sort key, best source first."""
        return (-self.priority, self.resolution_m, self.id)


class SourceCatalogue(_Frozen):
    """The datasets a run may use."""

    sources: tuple[Source, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [source.id for source in self.sources]
        repeated = sorted({i for i in ids if ids.count(i) > 1})
        if repeated:
            raise ValueError(f"source ids appear twice: {', '.join(repeated)}")
        return self

    @classmethod
    def load(cls, path: Path = BUNDLED_CATALOGUE) -> Self:
        """Read a YAML catalogue, or a folder of them; relative hrefs and grid paths are taken from the file's folder.

        Raises:
            ConfigError: the file is missing, no YAML, or an entry is incomplete (the vertical frame above all).
        """
        if path.is_dir():
            parts = [cls._load_file(part) for part in sorted(path.glob("*.yaml"))]
            try:
                return cls(sources=tuple(source for part in parts for source in part.sources))
            except ValidationError as error:
                raise ConfigError(f"source catalogue {path}: {_first_faults(error, None)}") from error
        return cls._load_file(path)

    @classmethod
    def _load_file(cls, path: Path) -> Self:
        try:
            document = parse_yaml(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"source catalogue {path} cannot be read: {error}") from error
        try:
            catalogue = cls.model_validate(document)
        except ValidationError as error:
            raise ConfigError(f"source catalogue {path}: {_first_faults(error, document)}") from error
        return cls(sources=tuple(_anchored(source, path.parent) for source in catalogue.sources))

    def get(self, source_id: str) -> Source:
        """Return the source with this id.

        Raises:
            SourceUnknown: no source has it.
        """
        for source in self.sources:
            if source.id == source_id:
                return source
        ids = [source.id for source in self.sources]
        close = get_close_matches(source_id, ids, n=5, cutoff=0.5)
        known = ", ".join(ids if len(ids) <= _MOST_NAMED else close)
        remedy = f"known are {known}" if known else "`orograph sources list` shows the known ones"
        raise SourceUnknown(f"unknown source {source_id!r}", source=source_id, remedy=remedy)


def _anchored(source: Source, folder: Path) -> Source:
    updates: dict[str, object] = {}
    if isinstance(source.data, Files):
        hrefs = tuple(absolute_href(href, folder) for href in source.data.hrefs)
        updates["data"] = source.data.model_copy(update={"hrefs": hrefs})
    else:
        hrefs_of_data = {"href": absolute_href(source.data.href, folder)}
        if isinstance(source.data, CellTemplate) and source.data.cells is not None:
            hrefs_of_data["cells"] = absolute_href(source.data.cells, folder)
        updates["data"] = source.data.model_copy(update=hrefs_of_data)
    if source.vertical_grid is not None:
        path = absolute_href(source.vertical_grid.path, folder)
        updates["vertical_grid"] = source.vertical_grid.model_copy(update={"path": path})
    if source.land_cover is not None:
        path = absolute_href(source.land_cover.path, folder)
        updates["land_cover"] = source.land_cover.model_copy(update={"path": path})
    return source.model_copy(update=updates)


def absolute_href(href: str, folder: Path) -> str:
    """Resolve a catalogue's path against the folder of its file; URLs and absolute paths stay unchanged."""
    if "::" in href:  # an fsspec chain: only its last link is a place
        inner, _, outer = href.rpartition("::")
        return f"{inner}::{absolute_href(outer, folder)}"
    if "://" in href or href.startswith("/"):
        return href
    return str((folder / href).resolve())


def _first_faults(error: ValidationError, document: object) -> str:
    """Return the first three faults, each with its source."""
    texts = []
    for fault in error.errors()[:3]:
        where = list(fault["loc"])
        if len(where) >= 2 and where[0] == "sources" and isinstance(document, dict):
            with contextlib.suppress(KeyError, IndexError, TypeError):
                where[1] = document["sources"][where[1]]["id"]
        texts.append(f"{'.'.join(map(str, where))}: {fault['msg']}")
    return "; ".join(texts)
