"""Asset sets that no manifest refers to: left by workers that were killed or that finished second.

A run's folder has one manifest and the set of assets it names (see `orograph.infra.runs.commit`). Any other set in it
is a leftover,
unless it was published once: then it contains an item to which other items may refer, and it stays.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from orograph.pipeline.core.objects import ObjectInfo, ObjectStore
from orograph.pipeline.manifest import MANIFEST_NAME, Manifest, run_prefix
from orograph.stac.documents.layout import VERSION_PREFIX

_ASSET: Final = re.compile(r"(?P<run>tiles/[A-Z0-9]+/[0-9a-f]{32})/(?:(?P<set>[0-9a-f]+)/)?(?P<name>[^/]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Leftover:
    """An object that may be removed.

    Attributes:
        key: Its key.
        size_bytes: Size of the object.
        finished: Whether its run is finished with another set; otherwise the run may be in progress.
    """

    key: str
    size_bytes: int
    finished: bool


def leftovers(store: ObjectStore) -> Iterator[Leftover]:
    """Every object of an asset set that no manifest refers to.

    Runs with a damaged manifest are skipped: `verify` reports them.
    """
    runs: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in store.list("tiles/"):
        match = _ASSET.fullmatch(info.key)
        if match is not None:
            runs[match["run"]].append(info)
    for run, objects in runs.items():
        if not any(info.key == f"{run}/{MANIFEST_NAME}" for info in objects):
            yield from (Leftover(info.key, info.size_bytes, finished=False) for info in objects)
            continue
        if len(_sets(objects)) < 2:
            continue
        try:
            manifest = Manifest.from_json(store.get(f"{run}/{MANIFEST_NAME}"))
        except (KeyError, ValueError):
            continue
        yield from (Leftover(info.key, info.size_bytes, finished=True) for info in _others_of_run(manifest, objects))


def remove_leftovers(store: ObjectStore, manifest: Manifest) -> int:
    """Remove the leftovers next to a committed manifest; return the number of objects."""
    found = _others_of_run(manifest, store.list(f"{run_prefix(manifest.tile, manifest.run_key)}/"))
    for info in found:
        store.delete(info.key)
    return len(found)


def _sets(objects: Iterable[ObjectInfo]) -> dict[str, list[ObjectInfo]]:
    """Objects of a run by the prefix of their set."""
    sets: dict[str, list[ObjectInfo]] = defaultdict(list)
    for info in objects:
        match = _ASSET.fullmatch(info.key)
        if match is not None and match["set"] is not None:
            sets[f"{match['run']}/{match['set']}"].append(info)
    return sets


def _others_of_run(manifest: Manifest, objects: Iterable[ObjectInfo]) -> list[ObjectInfo]:
    """Objects of other sets than the manifest's that were never published."""
    return [
        info
        for prefix, members in _sets(objects).items()
        if prefix != manifest.asset_prefix
        and not any(member.key.startswith(f"{prefix}/{VERSION_PREFIX}") for member in members)
        for info in members
    ]
