"""The collections Orograph publishes and which assets of a manifest each one shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.manifest import Asset, Manifest
from orograph.stac.documents.layout import parse_square


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """Description of a collection.

    Attributes:
        id: Id of the collection, a part of keys.
        squares: Type of its items: `Tile` or `Cell`.
        asset_prefixes: Names of assets that belong to it start with one of these; empty for all.
        is_item_per_product: Each prefix has its own item, so that making one product again leaves the others unchanged.
    """

    id: str
    title: str
    description: str
    keywords: tuple[str, ...]
    squares: type[Tile | Cell]
    asset_prefixes: tuple[str, ...] = ()
    is_item_per_product: bool = False

    def items_of(self, manifest: Manifest) -> dict[str, tuple[Asset, ...]]:
        """Items of a manifest in this collection: assets by item id; empty if there are none.

        A cell's id contains the product, if each product is an item, and the vertical frame, if one was requested: the
        catalogue may contain cells in EGM96 and in the tiles' own frame.
        """
        if not isinstance(parse_square(manifest.tile), self.squares):
            return {}
        if not self.asset_prefixes:
            return {manifest.tile: manifest.assets}
        groups = [(prefix,) for prefix in self.asset_prefixes] if self.is_item_per_product else [self.asset_prefixes]
        frame = manifest.settings.get("frame")
        return {
            item_id(manifest.tile, group[0] if self.is_item_per_product else None, frame): assets
            for group in groups
            if (assets := tuple(asset for asset in manifest.assets if asset.name.startswith(group)))
        }


def item_id(square: str, product: str | None = None, frame: str | None = None) -> str:
    """Id of a cell's item: `N47E010`, `N47E010_hgt1`, `N47E010_hgt1_EPSG5773`."""
    frame_part = re.sub(r"[^A-Za-z0-9]", "", frame or "")
    return "_".join(part for part in (square, product, frame_part) if part)


_KEYWORDS: Final = ("elevation", "DEM", "DTM", "terrain", "Europe")

TILES: Final = CollectionInfo(
    id="dem-eu",
    title="European terrain model, 50 km tiles",
    description=(
        "Heights on the EEA reference grid (EPSG:3035), harmonised to one vertical frame from open elevation data: of "
        "the terrain (DTM), of the surface (DSM) or of both, as each tile's `dem:surface` says. "
        "Every tile lists its sources, the vertical operations applied, its quality figures and the checksums of its files."
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
    asset_prefixes=("hgt1", "hgt3", "contours"),
    is_item_per_product=True,
)

COLLECTIONS: Final = (TILES, GEOGRAPHIC, EXPORTS)
"""Every collection, in the order of the root catalogue."""


def collections_of(manifest: Manifest) -> tuple[CollectionInfo, ...]:
    """The collections that have an item of a manifest.

    Raises:
        BadIdentifier: the manifest's tile is neither a tile nor a cell.
    """
    return tuple(info for info in COLLECTIONS if info.items_of(manifest))


def items_of_cell(cell: str, products: Iterable[str], frame: str | None) -> tuple[tuple[str, str], ...]:
    """Collection and id of the items of a cell's products; `geographic` is the COG."""
    return tuple(
        (GEOGRAPHIC.id, item_id(cell, None, frame))
        if product == "geographic"
        else (EXPORTS.id, item_id(cell, product, frame))
        for product in products
    )
