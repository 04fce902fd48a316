"""Long lists of files: kept apart from jobs, manifests and items, which name them by digest.

A tile of 1 km files has thousands of them. Up to `INLINE_FILES` are written where they are used; more are an asset next
to the manifest, `source_files.json`, and manifest and item have their number, size and digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from orograph.pipeline.manifest import Product, ProductInfo, canonical_json
from orograph.pipeline.sources.redaction import public_ref
from orograph.pipeline.sources.refs import FileListing, SourceRef

INLINE_FILES: Final = 16
LIST_NAME: Final = "source_files"
_INFO: Final = ProductInfo(
    name=LIST_NAME,
    filename=f"{LIST_NAME}.json",
    title="Source files: names, ETags, sizes and content",
    media_type="application/json",
    roles=("metadata",),
)


def shortened(ref: SourceRef) -> SourceRef:
    """Replace the files of a source by a digest of their list, if there are more than `INLINE_FILES`."""
    if len(ref.files) <= INLINE_FILES:
        return ref
    return ref.model_copy(update={"files": (), "listing": FileListing.of(ref.files)})


def list_product(refs: Sequence[SourceRef], folder: Path) -> Product | None:
    """Write the public file lists of sources with many files to a folder; None if no source has that many."""
    lists: dict[str, list[dict[str, Any]]] = {}
    for ref in map(public_ref, refs):
        if len(ref.files) > INLINE_FILES:
            lists[ref.source.id] = [file.model_dump(mode="json", exclude_none=True) for file in ref.files]
    if not lists:
        return None
    path = folder / _INFO.filename
    path.write_bytes(canonical_json(lists))
    return Product(_INFO, path)
