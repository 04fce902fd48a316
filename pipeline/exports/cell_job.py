"""Job for one 1-degree cell: its published input tiles and its settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from orograph.pipeline.core.frames import FrameId
from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.manifest import canonical_json, manifest_key, run_prefix
from orograph.pipeline.version import PROCESSING_VERSION

Product = Literal["geographic", "hgt1", "hgt3", "contours"]
PRODUCTS: tuple[Product, ...] = ("geographic", "hgt1", "hgt3", "contours")


class CellSettings(BaseModel):
    """All settings that affect a cell's files; part of its run key.

    Attributes:
        products: Files to make: `geographic` (3600 x 3600 COG), `hgt1` (3601), `hgt3` (1201), `contours`.
        frame: Vertical frame of all files; the tiles' own when None. `EPSG:5773` (EGM96) for readers that assume it.
        via: Frame to pass through, for pairs of frames without an operation of their own.
        missing: Treatment of unpublished tiles: void, or an error for the cell.
        contour_interval_m: Contour interval.
        contour_arc_seconds: Spacing of the contours' lattice.
        contour_formats: `shp` (zipped), `gpkg`, `fgb`.
        zip_hgt: Zip the 3601 file too (the 1201 one always is).
        compression: Compression of the COG.
        lerc_max_error_m: Largest error of `lerc-zstd`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    products: tuple[Product, ...] = PRODUCTS
    frame: FrameId | None = None
    via: FrameId | None = None
    missing: Literal["void", "error"] = "void"
    contour_interval_m: float = Field(default=25.0, gt=0)
    contour_arc_seconds: Literal[1, 3] = 3
    contour_formats: tuple[Literal["shp", "gpkg", "fgb"], ...] = ("shp", "gpkg", "fgb")
    zip_hgt: bool = False
    compression: Literal["zstd", "lerc-zstd"] = "zstd"
    lerc_max_error_m: float = Field(default=0.005, ge=0)

    @field_validator("products", "contour_formats")
    @classmethod
    def _once_and_in_order(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Each product once, in the order of the defaults, so that equal work has one key."""
        known = cls.model_fields[str(info.field_name)].default
        return tuple(name for name in known if name in value)


@dataclass(frozen=True, slots=True, order=True)
class TileRef:
    """A published tile: its run, and the keys of its elevation and manifest in the store."""

    tile: Tile
    run_key: str
    elevation_key: str
    elevation_sha256: str
    manifest_key: str

    @property
    def asset_prefix(self) -> str:
        """Key prefix of the tile's assets."""
        return self.elevation_key.rsplit("/", 1)[0]


@dataclass(frozen=True, slots=True)
class CellJob:
    """Job for one cell: a `Runnable`, as a tile's job is.

    Attributes:
        cell: The cell.
        inputs: The published tiles that it intersects, sorted.
        settings: Settings of its products.
    """

    cell: Cell
    inputs: tuple[TileRef, ...]
    settings: CellSettings

    @property
    def id(self) -> str:
        """Id of the cell."""
        return self.cell.id

    @property
    def run_key(self) -> str:
        """Identity of the result: changes exactly when an input tile's run, the settings or the processing change."""
        document = {
            "processing_version": PROCESSING_VERSION,
            "settings": self.settings.model_dump(mode="json"),
            "cell": self.cell.id,
            # Hash the heights too: under one run key, a network on another processor differs in the last bits.
            "tiles": sorted([ref.tile.id, ref.run_key, ref.elevation_sha256] for ref in self.inputs),
        }
        return hashlib.sha256(canonical_json(document)).hexdigest()[:32]

    @property
    def prefix(self) -> str:
        """Key prefix of everything this job writes."""
        return run_prefix(self.cell.id, self.run_key)

    @property
    def manifest_key(self) -> str:
        """Key of the manifest; it exists exactly when the job is done."""
        return manifest_key(self.cell.id, self.run_key)
