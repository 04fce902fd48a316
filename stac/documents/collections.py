"""The collections Orograph publishes and which assets of a manifest each one shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.manifest import Asset, Manifest
from orograph.stac.documents.layout import parse_square


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """How a collection describes itself.

    Attributes:
        id: Its id, a part of keys.
        squares: What its items are: `Tile` or `Cell`.
        asset_prefixes: Names of assets that belong to it start with one of these; empty for all.
    """

    id: str
    title: str
    description: str
    keywords: tuple[str, ...]
    squares: type[Tile | Cell]
    asset_prefixes: tuple[str, ...] = ()

    def assets_of(self, manifest: Manifest) -> tuple[Asset, ...]:
        """The assets of a manifest this collection shows; empty when the manifest is none of its."""
        if not isinstance(parse_square(manifest.tile), self.squares):
            return ()
        if not self.asset_prefixes:
            return manifest.assets
        return tuple(asset for asset in manifest.assets if asset.name.startswith(self.asset_prefixes))


_KEYWORDS: Final = ("elevation", "DEM", "DTM", "terrain", "Europe")

TILES: Final = CollectionInfo(
    id="dem-eu",
    title="European terrain model, 50 km tiles",
    description=(
        "Heights on the EEA reference grid (EPSG:3035), harmonised to one vertical frame from open elevation data: of "
        "the bare earth, of the surface or of both, as each tile's `dem:surface` says. Every tile tells its sources, the "
        "vertical operations applied, its quality figures and the checksums of its files."
    ),
    keywords=(*_KEYWORDS, "EPSG:3035", "COG"),
    squares=Tile,
)

GEOGRAPHIC: Final = CollectionInfo(
    id="dem-eu-geographic",
    title="European terrain model, 1 degree cells",
    description="The tiles of the projected collection resampled to geographic ETRS89, one file per 1 degree cell.",
    keywords=(*_KEYWORDS, "EPSG:4258", "COG"),
    squares=Cell,
    asset_prefixes=("dem", "hillshade", "thumbnail", "uncertainty", "source"),
)

EXPORTS: Final = CollectionInfo(
    id="dem-eu-exports",
    title="European terrain model, HGT files and contours",
    description=(
        "SRTM-style HGT files (whole metres) and contour lines per 1 degree cell, in the vertical frame each item names."
    ),
    keywords=(*_KEYWORDS, "HGT", "contours"),
    squares=Cell,
    asset_prefixes=("hgt", "contours"),
)

COLLECTIONS: Final = (TILES, GEOGRAPHIC, EXPORTS)
"""Every collection, in the order of the root catalogue."""


def collections_of(manifest: Manifest) -> tuple[CollectionInfo, ...]:
    """The collections that show something of a manifest.

    Raises:
        BadIdentifier: the manifest's tile is neither a tile nor a cell.
    """
    return tuple(info for info in COLLECTIONS if info.assets_of(manifest))
