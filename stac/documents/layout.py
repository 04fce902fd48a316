"""Layout of the catalogue in the store: keys, blocks, and relative references between them.

```
stac/catalog.json                                     root
stac/dem-eu/collection.json                           projected tiles
stac/dem-eu/E4000N2500/catalog.json                   block of 500 km: at most 100 tiles
stac/dem-eu/E4000N2500/E4300N2650/E4300N2650.json     item, swapped when the tile is made again
stac/dem-eu/E4000N2500/items.parquet                  the block's part of the index
stac/sources/glo-30/collection.json                   a dataset used by tiles
stac/schemas/dem/v1.0.0/schema.json                   the profile's JSON schema
stac/pending/dem-eu/E4000N2500/E4300N2650.<hash>      items that are not yet in the index
tiles/E4300N2650/<run key>/manifest.json              record of the run: which set of assets is its result, immutable
tiles/E4300N2650/<run key>/<set>/dem.tif              asset, immutable; the set is named by its content
tiles/E4300N2650/<run key>/<set>/item-dem-eu.json     the item as first published, immutable
```

All references are relative, so a folder, an HTTP server and a bucket serve the same bytes.
"""

from __future__ import annotations

import posixpath
from typing import Final

from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.errors import BadIdentifier

ROOT: Final = "stac"
ROOT_KEY: Final = f"{ROOT}/catalog.json"
BLOCK_KM: Final = 500
BLOCK_DEG: Final = 5
INDEX_NAME: Final = "items.parquet"
VERSION_PREFIX: Final = "item-"
"""Beginning of the names of items next to their assets."""


def parse_square(item_id: str) -> Tile | Cell:
    """The tile or cell of an item id; the part after an underscore names a cell's product and frame.

    Raises:
        BadIdentifier: it is neither.
    """
    square = item_id.partition("_")[0]
    return Tile.parse(item_id) if square.startswith("E") else Cell.parse(square)


def block_of(item_id: str) -> str:
    """Id of an item's block: 500 km squares of tiles, 5 degree squares of cells, named by the south-west corner."""
    square = parse_square(item_id)
    if isinstance(square, Tile):
        east, north = (value // BLOCK_KM * BLOCK_KM for value in (square.east_km, square.north_km))
        return f"E{east:04d}N{north:04d}"
    return Cell(square.lat // BLOCK_DEG * BLOCK_DEG, square.lon // BLOCK_DEG * BLOCK_DEG).id


def collection_key(collection: str) -> str:
    """Key of a collection."""
    return f"{ROOT}/{collection}/collection.json"


def block_key(collection: str, block: str) -> str:
    """Key of a block's catalogue."""
    return f"{ROOT}/{collection}/{block}/catalog.json"


def index_key(collection: str, block: str) -> str:
    """Key of a block's part of the stac-geoparquet index."""
    return f"{ROOT}/{collection}/{block}/{INDEX_NAME}"


def item_key(collection: str, item_id: str) -> str:
    """Stable key of an item: the key of the tile's current state.

    Raises:
        BadIdentifier: the id is neither a tile's nor a cell's.
    """
    return f"{ROOT}/{collection}/{block_of(item_id)}/{item_id}/{item_id}.json"


def version_key(collection: str, prefix: str, item_id: str = "") -> str:
    """Key of the item as it was first published, next to the assets of its run."""
    variant = item_id.partition("_")[2]
    return f"{prefix}/{VERSION_PREFIX}{collection}{'-' if variant else ''}{variant}.json"


def source_key(source_id: str) -> str:
    """Key of the collection that describes a source."""
    return f"{ROOT}/sources/{source_id}/collection.json"


def schema_key(uri_path: str) -> str:
    """Key of a JSON schema stored with the catalogue."""
    return f"{ROOT}/schemas/{uri_path}"


def pending_prefix(collection: str = "") -> str:
    """Prefix of the change notes that workers write for the publisher."""
    return f"{ROOT}/pending/{collection}/" if collection else f"{ROOT}/pending/"


def relative(from_key: str, to_key: str) -> str:
    """Relative reference from one object to another, which browsers resolve: `./x.json`, `../../y.json`."""
    path = posixpath.relpath(to_key, posixpath.dirname(from_key) or ".")
    return path if path.startswith("../") else f"./{path}"


def resolve(from_key: str, href: str) -> str | None:
    """Key of the object of a relative reference; None for absolute URLs.

    Raises:
        BadIdentifier: the reference leaves the store.
    """
    if "://" in href:
        return None
    key = posixpath.normpath(posixpath.join(posixpath.dirname(from_key), href))
    if key.startswith(("../", "/")) or key == "..":
        raise BadIdentifier(f"reference {href!r} of {from_key} leaves the store")
    return key
