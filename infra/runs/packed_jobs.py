"""Sends jobs to workers without their long file lists, which the driver puts into the store."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from pydantic import ValidationError

from orograph.infra.stores.base import Store
from orograph.pipeline.errors import CatalogueError, ObjectExists
from orograph.pipeline.file_lists import INLINE_FILES, shortened
from orograph.pipeline.job import Job
from orograph.pipeline.sources.catalogue import Files
from orograph.pipeline.sources.refs import SourceRef

_WRITERS: Final = 8


def packed_jobs(store: Store, jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Move the long file lists of jobs to the store; run keys stay the same."""
    with ThreadPoolExecutor(_WRITERS, thread_name_prefix="orograph-pack") as pool:
        return tuple(pool.map(lambda job: _packed(store, job), jobs))


def unpacked(store: Store, job: Job) -> Job:
    """Return a job with its complete file lists.

    Raises:
        CatalogueError: a list is missing or damaged.
    """
    return replace(job, sources=tuple(_whole(store, ref) for ref in job.sources))


def _packed(store: Store, job: Job) -> Job:
    return replace(job, sources=tuple(_short(store, ref) for ref in job.sources))


def _key(ref: SourceRef) -> str:
    """Key of a list: by source and files, by the hashes known of them, and by the place left out of a packed job."""
    known = "".join(file.sha256 or "" for file in ref.files)
    place = hashlib.sha256(f"{ref.source.data.model_dump_json()}{known}".encode()).hexdigest()[:16]
    return f"inputs/lists/{ref.source.id}/{ref.files_digest}-{place}.json"


def _short(store: Store, ref: SourceRef) -> SourceRef:
    if len(ref.files) <= INLINE_FILES and not _is_long(ref):
        return ref
    key = _key(ref)
    with contextlib.suppress(ObjectExists):  # the same list is there already
        store.put(key, ref.model_dump_json().encode(), if_absent=True, media_type="application/json")
    short = shortened(ref)
    data = Files(hrefs=(f"store:{key}",))
    return short.model_copy(update={"source": ref.source.model_copy(update={"data": data})})


def _is_long(ref: SourceRef) -> bool:
    return isinstance(ref.source.data, Files) and len(ref.source.data.hrefs) > INLINE_FILES


def _whole(store: Store, ref: SourceRef) -> SourceRef:
    data = ref.source.data
    if not (isinstance(data, Files) and data.hrefs[0].startswith("store:")):
        return ref
    key = data.hrefs[0].removeprefix("store:")
    remedy = "run the same command again: it repeats the planning and writes the list"
    try:
        whole = SourceRef.model_validate_json(store.get(key))
    except KeyError:
        raise CatalogueError(f"{key} is gone from the store", source=ref.source.id, remedy=remedy) from None
    except ValidationError as error:
        raise CatalogueError(f"{key} is damaged", source=ref.source.id, remedy=f"delete it and {remedy}") from error
    if whole.files_digest != ref.files_digest:
        raise CatalogueError(f"{key} has other files", source=ref.source.id, remedy=f"delete it and {remedy}")
    return whole
