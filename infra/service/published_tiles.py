"""Published tiles, as the catalogue's items record them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import orjson

from orograph.infra.runs.source_records import full_sources, given_alignment
from orograph.infra.stores.base import Store
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import BadIdentifier, CatalogueError
from orograph.pipeline.manifest import CoregistrationRecord, Manifest, manifest_key
from orograph.pipeline.sources.refs import SourceRef
from orograph.stac.documents import layout
from orograph.stac.documents.collections import TILES

_LIST_EVERY_S: Final = 5.0
_READERS: Final = 8
_MANIFESTS_KEPT: Final = 500


@dataclass(frozen=True)
class PublishedTile:
    """A tile's published state.

    Attributes:
        item: The STAC item.
        key: Key of the item in the store.
        etag: Identity of this state.
    """

    item: dict[str, Any] = field(repr=False)
    key: str
    etag: str

    @property
    def id(self) -> str:
        """Tile id."""
        return str(self.item["id"])

    @property
    def properties(self) -> dict[str, Any]:
        """The item's properties."""
        found: dict[str, Any] = self.item["properties"]
        return found

    @property
    def run_key(self) -> str:
        """Run key of the run that made its assets."""
        return str(self.properties.get("dem:run_key", ""))

    @cached_property
    def assets(self) -> dict[str, str]:
        """Store keys of its assets by name; references that leave the store are left out."""
        keys = {}
        for name, asset in self.item["assets"].items():
            try:
                key = layout.resolve(self.key, asset["href"])
            except BadIdentifier:
                continue
            if key is not None:
                keys[name] = key
        return keys

    def asset_key(self, *prefixes: str) -> str | None:
        """Key of the first raster asset whose name begins with a prefix, tried in order."""
        for prefix in prefixes:
            for name, key in self.assets.items():
                if name.startswith(prefix) and key.endswith(".tif"):
                    return key
        return None

    @property
    def predecessor_key(self) -> str | None:
        """Key of the item that the current run replaced; None for a first run."""
        for link in self.item["links"]:
            if link["rel"] == "predecessor-version":
                try:
                    return layout.resolve(self.key, link["href"])
                except BadIdentifier:
                    return None
        return None

    @property
    def highest_m(self) -> float:
        """The tile's greatest height, metres; 0 if the item does not record one."""
        for asset in self.item["assets"].values():
            for band in asset.get("bands", ()):
                if band.get("name") == "elevation":
                    return float(band.get("statistics", {}).get("maximum", 0.0))
        return 0.0

    @property
    def source_ids(self) -> tuple[str, ...]:
        """Ids of the tile's sources."""
        return tuple(str(source["id"]) for source in self.properties.get("dem:sources", ()))


class Published:
    """Items of the tile collection, read again only when they change.

    Args:
        store: Store that contains the catalogue.
        clock: Seconds, monotonic.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._listing = threading.Lock()
        self._tiles: dict[str, PublishedTile] = {}
        self._manifest = lru_cache(maxsize=_MANIFESTS_KEPT)(self._read_manifest)
        self._sources = lru_cache(maxsize=_MANIFESTS_KEPT)(self._read_sources)
        self._earlier = lru_cache(maxsize=_MANIFESTS_KEPT)(self._read_earlier)
        self._listed = float("-inf")

    @property
    def store(self) -> Store:
        """The store of the catalogue."""
        return self._store

    @staticmethod
    def item_key(tile: Tile) -> str:
        """Key of a tile's item, whether or not it exists."""
        return layout.item_key(TILES.id, tile.id)

    def get(self, tile: Tile) -> PublishedTile | None:
        """A tile's current state; None if it is not published."""
        key = self.item_key(tile)
        info = self._store.head(key)
        if info is None:
            with self._lock:
                self._tiles.pop(tile.id, None)
            return None
        return self._read(tile.id, key, info.etag)

    def run_key(self, tile: Tile) -> str | None:
        """Run key of the published tile; None if it is not published."""
        found = self.get(tile)
        return found.run_key if found else None

    def manifest(self, tile: PublishedTile) -> Manifest:
        """The manifest of a published tile.

        Raises:
            CatalogueError: it is not in the store, or is damaged.
        """
        return self._manifest(tile.id, tile.run_key)

    def sources(self, tile: PublishedTile) -> tuple[SourceRef, ...]:
        """Return a tile's sources, with the paths that manifests omit.

        Raises:
            CatalogueError: its record in the store is damaged.
        """
        return self._sources(tile.id, tile.run_key)

    def predecessor(self, tile: PublishedTile) -> PublishedTile | None:
        """The state that a tile's current run replaced; None if there was none or it was deleted."""
        return None if tile.predecessor_key is None else self._earlier(tile.predecessor_key)

    def _read_earlier(self, key: str) -> PublishedTile | None:
        try:
            return PublishedTile(orjson.loads(self._store.get(key)), key, etag=key)
        except (KeyError, orjson.JSONDecodeError):
            return None

    def alignment(self, tile: PublishedTile) -> tuple[CoregistrationRecord, ...]:
        """Return the shifts given to the run that made a tile; empty where it estimated its own.

        Raises:
            CatalogueError: their record in the store is damaged.
        """
        return given_alignment(self._store, self.manifest(tile))

    def _read_manifest(self, tile_id: str, run_key: str) -> Manifest:
        key = manifest_key(tile_id, run_key)
        try:
            return Manifest.from_json(self._store.get(key))
        except (KeyError, ValueError) as error:
            raise CatalogueError(f"{key} cannot be read", tile=tile_id) from error

    def _read_sources(self, tile_id: str, run_key: str) -> tuple[SourceRef, ...]:
        return full_sources(self._store, self._manifest(tile_id, run_key))

    def highest_m(self) -> float:
        """The greatest published height, metres, from the items' statistics; 0 without tiles."""
        return max((tile.highest_m for tile in self.all().values()), default=0.0)

    def expire(self) -> None:
        """Make the next call of `all` read the store again."""
        self._listed = float("-inf")

    def all(self) -> dict[str, PublishedTile]:
        """Every published tile by id, at most five seconds old."""
        with self._listing:
            if self._clock() - self._listed >= _LIST_EVERY_S:
                self._list()
                self._listed = self._clock()
        with self._lock:
            return dict(self._tiles)

    def _list(self) -> None:
        prefix = layout.collection_key(TILES.id).removesuffix("collection.json")
        found: dict[str, tuple[str, str]] = {}
        for info in self._store.list(prefix):
            parts = info.key.removeprefix(prefix).split("/")
            if len(parts) == 3 and parts[2] == f"{parts[1]}.json":
                found[parts[1]] = (info.key, info.etag)
        with self._lock:
            for gone in set(self._tiles) - set(found):
                del self._tiles[gone]
            present = {id_: tile.etag for id_, tile in self._tiles.items()}
        changed = [(id_, key, etag) for id_, (key, etag) in found.items() if present.get(id_) != etag]
        if changed:
            with ThreadPoolExecutor(_READERS, thread_name_prefix="orograph-items") as pool:
                list(pool.map(lambda entry: self._read(*entry), changed))

    def _read(self, id_: str, key: str, etag: str) -> PublishedTile | None:
        with self._lock:
            known = self._tiles.get(id_)
        if known is not None and known.etag == etag:
            return known
        try:
            item = orjson.loads(self._store.get(key))
        except KeyError:
            return None
        except orjson.JSONDecodeError as error:
            raise CatalogueError(f"{key} is not JSON: {error}", tile=id_) from error
        tile = PublishedTile(item, key, etag)
        with self._lock:
            self._tiles[id_] = tile
        return tile


def gdal_path(store: Store, key: str) -> str:
    """GDAL path of an object of a store: a file path, or one below `/vsis3/`."""
    if store.url.startswith("s3://"):
        return f"/vsis3/{store.url.removeprefix('s3://').rstrip('/')}/{key}"
    return str(Path(store.url.removeprefix("file://")) / key)
