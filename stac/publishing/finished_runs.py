"""Finds finished runs without an item; ambiguous ones are rejected."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Final

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import BadIdentifier, CatalogueError
from orograph.pipeline.manifest import MANIFEST_NAME, Manifest
from orograph.stac.documents.collections import TILES, collections_of
from orograph.stac.documents.layout import item_key, parse_square

_ROOTS: Final = ("tiles", "cells")
_RUN: Final = re.compile(r"([A-Z0-9]+)/([0-9a-f]{32})", re.ASCII)


def manifest_of(store: ObjectStore, run: str) -> Manifest:
    """The manifest of a run named `TILE/RUN_KEY`.

    Raises:
        BadIdentifier: the text is not the name of a run.
        CatalogueError: the run does not exist, or its manifest is damaged.
    """
    match = _RUN.fullmatch(run)
    if match is None:
        raise BadIdentifier(f"not a run: {run[:60]!r}", remedy="name it TILE/RUN_KEY, as under tiles/ in the store")
    parse_square(match[1])
    for root in _ROOTS:
        key = f"{root}/{run}/{MANIFEST_NAME}"
        if store.head(key) is not None:
            return _read(store, key)
    raise CatalogueError(f"the store contains no finished run {run}", tile=match[1])


def committed(store: ObjectStore) -> list[Manifest]:
    """Manifests of finished tiles and cells that have no published item.

    Raises:
        CatalogueError: several runs of such a tile are finished; one must be named.
    """
    runs: dict[str, list[str]] = defaultdict(list)
    for root in _ROOTS:
        for info in store.list(f"{root}/"):
            parts = info.key.split("/")
            if parts[-1] == MANIFEST_NAME and len(parts) == 4:
                runs[parts[1]].append(info.key)
    found: dict[str, Manifest] = {}
    for square, keys in sorted(runs.items()):
        for manifests in _unshown(store, square, keys).values():
            if len(manifests) > 1:
                names = ", ".join(sorted(manifest.run_key for manifest in manifests))
                raise CatalogueError(
                    f"several runs are finished: {names}",
                    tile=square,
                    remedy=f"publish {square}/RUN_KEY of one of them",
                )
            found[manifests[0].run_key] = manifests[0]
    return list(found.values())


def _unshown(store: ObjectStore, square: str, keys: list[str]) -> dict[str, list[Manifest]]:
    """Finished runs by the item they would be shown by, for items that are not there."""
    if isinstance(parse_square(square), Tile) and store.head(item_key(TILES.id, square)) is not None:
        return {}
    unshown: dict[str, list[Manifest]] = defaultdict(list)
    for key in keys:
        manifest = _read(store, key)
        for info in collections_of(manifest):
            for item_id in info.items_of(manifest):
                unshown[item_key(info.id, item_id)].append(manifest)
    return {key: manifests for key, manifests in unshown.items() if store.head(key) is None}


def _read(store: ObjectStore, key: str) -> Manifest:
    try:
        return Manifest.from_json(store.get(key))
    except (KeyError, ValueError) as error:
        raise CatalogueError(f"{key} cannot be read: {str(error).splitlines()[0]}") from error
