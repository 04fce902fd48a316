"""Stores the paths of a published tile's source files for operators; they are never published.

Manifests publish only the names and ETags of files (`orograph.pipeline.sources.redaction`). Making a tile again, or
showing
its inputs, needs the paths too: they are under `inputs/`, which no catalogue refers to and no service serves. The same
prefix contains the shifts that were given to a run; its manifest shows only the applied shifts.
"""

from __future__ import annotations

import contextlib
from typing import Final, TypeVar

from pydantic import TypeAdapter

from orograph.infra.stores.base import Store
from orograph.pipeline.errors import CatalogueError, ObjectExists
from orograph.pipeline.file_lists import shortened
from orograph.pipeline.job import Job
from orograph.pipeline.manifest import CoregistrationRecord, Manifest
from orograph.pipeline.sources.redaction import public_ref
from orograph.pipeline.sources.refs import SourceRef

T = TypeVar("T")

_REFS: Final = TypeAdapter(tuple[SourceRef, ...])
_RECORDS: Final = TypeAdapter(tuple[CoregistrationRecord, ...])


def inputs_key(tile: str, run_key: str) -> str:
    """Key of the record of a run's sources."""
    return f"inputs/{tile}/{run_key}.json"


def alignment_key(tile: str, run_key: str) -> str:
    """Key of the record of the shifts given to a run."""
    return f"inputs/{tile}/{run_key}.alignment.json"


def keep_inputs(store: Store, job: Job) -> None:
    """Record a job's full sources, if their public form omits something, and its alignment; safe to repeat."""
    if job.alignment:
        key = alignment_key(job.tile.id, job.run_key)
        with contextlib.suppress(ObjectExists):
            store.put(key, _RECORDS.dump_json(job.alignment), if_absent=True, media_type="application/json")
    if all(shortened(public_ref(ref)) == ref for ref in job.sources):
        return
    document = _REFS.dump_json(job.sources)
    # Another worker on the same job wrote the same.
    with contextlib.suppress(ObjectExists):
        store.put(inputs_key(job.tile.id, job.run_key), document, if_absent=True, media_type="application/json")


def full_sources(store: Store, manifest: Manifest) -> tuple[SourceRef, ...]:
    """Return a tile's sources as its run read them; from the manifest where nothing was redacted.

    Raises:
        CatalogueError: the record is damaged.
    """
    return _kept(store, manifest, inputs_key(manifest.tile, manifest.run_key), _REFS, manifest.sources)


def given_alignment(store: Store, manifest: Manifest) -> tuple[CoregistrationRecord, ...]:
    """Return the shifts given to the run that made a tile (`--smooth-shifts`); empty where it estimated its own.

    Raises:
        CatalogueError: the record is damaged.
    """
    return _kept(store, manifest, alignment_key(manifest.tile, manifest.run_key), _RECORDS, ())


def _kept(store: Store, manifest: Manifest, key: str, shape: TypeAdapter[T], otherwise: T) -> T:
    try:
        return shape.validate_json(store.get(key))
    except KeyError:
        return otherwise
    except ValueError as error:
        raise CatalogueError(f"{key} is damaged", tile=manifest.tile, remedy=f"delete {key} and run again") from error
