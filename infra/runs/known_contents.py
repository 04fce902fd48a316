"""Hashes of files that tiles were made from, kept in the sources' indexes.

A later tile then detects a file whose content changed although its size, time of change and inode did not.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orograph.infra.runs.source_indexes import keep_index, load_index
from orograph.infra.stores.base import Store
from orograph.pipeline.errors import OrographError
from orograph.pipeline.file_lists import LIST_NAME
from orograph.pipeline.job import Job
from orograph.pipeline.manifest import Manifest

_log = logging.getLogger(__name__)


def keep_contents(store: Store, jobs: Iterable[Job]) -> int:
    """Write hashes from the manifests of finished tiles to the indexes of their sources; returns their number.

    An error is logged and not raised, because the tiles are complete without the indexes.
    """
    try:
        hashes: dict[str, dict[str, str]] = defaultdict(dict)
        for job in jobs:
            for source_id, etag, sha256 in _hashes_of(store, job):
                hashes[source_id][etag] = sha256
        return sum(_kept(store, source_id, known) for source_id, known in hashes.items())
    except (OrographError, KeyError, ValueError) as error:
        _log.warning("hashes of source files were not written to the index: %s", error)
        return 0


def _kept(store: Store, source_id: str, sha256_by_etag: Mapping[str, str]) -> int:
    index = load_index(store, source_id)
    if index is None:
        return 0
    found, count = index.with_contents(sha256_by_etag)
    if count:
        keep_index(store, found)
    return count


def _hashes_of(store: Store, job: Job) -> Iterator[tuple[str, str, str]]:
    """Source id, ETag and sha256 of each local file in a tile's manifest that was hashed as a whole."""
    manifest = Manifest.from_json(store.get(job.manifest_key))
    lists: dict[str, list[dict[str, Any]]] = {}
    for asset in manifest.assets:
        if asset.name == LIST_NAME:
            lists = json.loads(store.get(asset.key))
    for ref in manifest.sources:
        files = [file.model_dump() for file in ref.files] or lists.get(ref.source.id, [])
        for file in files:
            if file["etag"].startswith("stat:") and file.get("sha256"):
                yield ref.source.id, file["etag"], file["sha256"]
