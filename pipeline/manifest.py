"""The manifest of a tile: the hashed record of its inputs, processing and assets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orograph.pipeline.sources.refs import SourceRef

MANIFEST_NAME: Final = "manifest.json"
_SEAL: Final = "sha256"
_SET_DIGITS: Final = 20


def run_prefix(square: str, run_key: str) -> str:
    """Key prefix of a run of a tile or cell."""
    return f"tiles/{square}/{run_key}"


def manifest_key(square: str, run_key: str) -> str:
    """Key of a run's manifest."""
    return f"{run_prefix(square, run_key)}/{MANIFEST_NAME}"


def asset_set(contents: Mapping[str, str]) -> str:
    """Name of a set of files by its content: digits of a sha256 over the files' names and sha256 digests.

    Args:
        contents: Hexadecimal sha256 of each file, by file name.
    """
    return _sha256(dict(contents))[:_SET_DIGITS]


class _ManifestPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=False)


class CoregistrationRecord(_ManifestPart):
    """Coregistration of a source to the tile's best source; shifts are added to the source's coordinates."""

    source: str
    reference: str
    method: str
    status: Literal[
        "converged", "undulated", "one_direction", "unobservable", "too_few", "rejected", "reference", "none"
    ]
    shift_east_m: float = 0.0
    shift_north_m: float = 0.0
    shift_up_m: float = 0.0
    nmad_before_m: float | None = None
    nmad_after_m: float | None = None
    sample_count: int = 0
    details: dict[str, Any] = Field(default_factory=dict)


class Band(_ManifestPart):
    """One band of an asset, as STAC describes bands."""

    name: str
    description: str
    data_type: Literal["uint8", "int16", "float32"]
    unit: str | None = None
    nodata: float | Literal["nan"] | None = None
    statistics: dict[str, float] = Field(default_factory=dict)


class ProductInfo(_ManifestPart):
    """Description of an asset in the manifest and the catalogue."""

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    filename: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    title: str
    media_type: str
    roles: tuple[str, ...]
    bands: tuple[Band, ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """A finished local file, validated, ready to be committed."""

    info: ProductInfo
    path: Path


class Asset(ProductInfo):
    """A committed product: its key and its SHA-256."""

    key: str
    size_bytes: int
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class OperationRecord(_ManifestPart):
    """A vertical operation applied to a source; its shifts are the extremes over the tile and 5 km around it.

    `heights_outside` counts the pixels where the source has a height, no better source has one, and the operation has
    no value, so that the height was left out.
    """

    source: str
    frame_from: str
    frame_to: str
    operation: str
    steps: tuple[str, ...]
    grids: dict[str, str] = Field(default_factory=dict)
    accuracy_m: float
    shift_min_m: float
    shift_max_m: float
    derived: bool = False
    notes: tuple[str, ...] = ()
    heights_outside: int = 0


class Quality(_ManifestPart):
    """Quality statistics of one tile."""

    pixels: int
    void_fraction: float
    filled_fraction: float
    source_fractions: dict[str, float]
    height_min_m: float
    height_max_m: float
    height_mean_m: float
    height_std_m: float
    uncertainty_median_m: float | None = None
    border_step_m: float | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class FileFacts(_ManifestPart):
    """Facts shared by a group of a source's files, with the origin of each fact.

    Attributes:
        files: Names of the first three files.
        count: Number of files in the group.
        facts: Fact to value: CRS, vertical frame, unit, scale, nodata, mask, pixel interpretation.
        said_by: Fact to its origin: the file, a side-car by name, the catalogue, the phase of the grid, a default.
    """

    files: tuple[str, ...]
    count: int
    facts: dict[str, Any]
    said_by: dict[str, str]


class Manifest(_ManifestPart):
    """The record of a finished tile. The first manifest stored under a run key is the result.

    Without networks a second worker writes the same bytes. With networks, `numerics` records the arithmetic that
    produced these heights. Times and host names belong to the run report, not to the manifest.
    """

    schema_version: Literal[1] = 1
    tile: str
    run_key: str
    processing_version: int
    software: dict[str, str]
    settings: dict[str, Any]
    sources: tuple[SourceRef, ...]
    grid: dict[str, Any]
    surface: Literal["DTM", "DSM", "mixed"]
    vertical_frame: str
    crs_wkt2: str
    facts: dict[str, tuple[FileFacts, ...]] = Field(default_factory=dict)
    operations: tuple[OperationRecord, ...]
    coregistration: tuple[CoregistrationRecord, ...] = ()
    models: dict[str, str] = Field(default_factory=dict)
    numerics: dict[str, str] = Field(default_factory=dict)
    quality: Quality
    assets: tuple[Asset, ...]

    @property
    def manifest_key(self) -> str:
        """Key of this manifest."""
        return manifest_key(self.tile, self.run_key)

    @property
    def asset_prefix(self) -> str:
        """Key prefix of its assets: the set written by one worker."""
        return self.assets[0].key.rsplit("/", 1)[0]

    def to_json(self) -> bytes:
        """Canonical JSON, sealed with the SHA-256 of all other fields."""
        document = self.model_dump(mode="json")
        return canonical_json({**document, _SEAL: _sha256(document)})

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read a sealed manifest.

        Raises:
            ValueError: the bytes were changed after writing, or are not a manifest.
        """
        document = json.loads(data)
        if not isinstance(document, dict) or canonical_json(document) != data:
            raise ValueError("is not canonical JSON")
        if document.pop(_SEAL, None) != _sha256(document):
            raise ValueError("its contents do not match the SHA-256 recorded in it")
        try:
            return cls.model_validate_json(canonical_json(document))
        except ValidationError as error:
            fault = error.errors()[0]
            raise ValueError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error

    def asset(self, name: str) -> Asset:
        """The asset of a name; KeyError if it does not exist."""
        for asset in self.assets:
            if asset.name == name:
                return asset
        raise KeyError(name)


def _sha256(document: Any) -> str:
    return hashlib.sha256(canonical_json(document)).hexdigest()


def canonical_json(document: Any) -> bytes:
    """JSON with sorted keys, no whitespace and no NaN: equal documents give equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
