"""Hashes the local files of a tile, compares them with known hashes, and writes them to the manifest.

A plan identifies local files by size, time of change and inode. Content that changes under an unchanged identity (a
clock that was set back, a copy that kept its times) is detected here, because the tile reads the files anyway.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from orograph.infra.objects.sparse import Window
from orograph.infra.runs.source_access import window_of
from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import SourceChanged, SourceMissing
from orograph.pipeline.formats.tiff_index import is_tiff, read_index
from orograph.pipeline.job import Job, TileResult
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.sources.refs import FileRef, SourceRef

WHOLE_BYTES: Final = 64 * 2**20
"""Files up to this size are hashed as a whole; of larger ones the blocks a tile touches."""


def with_contents(result: TileResult, rasters: Mapping[str, Sequence[RasterFile]]) -> TileResult:
    """Add the hashes of a tile's local source files to its draft manifest.

    Raises:
        SourceChanged: a file's content differs from the index.
        SourceMissing: a file no longer exists.
    """
    job = result.job
    refs = tuple(_hashed(job, ref, rasters[ref.source.id]) for ref in job.sources)
    by_id = {ref.source.id: ref.files for ref in refs}
    drafted = tuple(ref.model_copy(update={"files": by_id[ref.source.id]}) for ref in result.draft["sources"])
    return replace(result, draft={**result.draft, "sources": drafted})


def _hashed(job: Job, ref: SourceRef, rasters: Sequence[RasterFile]) -> SourceRef:
    files = tuple(_content(job, ref, file, raster) for file, raster in zip(ref.files, rasters, strict=True))
    return ref.model_copy(update={"files": files})


def _content(job: Job, ref: SourceRef, file: FileRef, raster: RasterFile) -> FileRef:
    if not isinstance(raster, Path) or "://" in file.href:
        return file
    try:
        if file.size_bytes > WHOLE_BYTES and _is_tiff(raster):
            window = window_of(job.tile, ref, raster)
            return file.model_copy(update={"sha256": None, "blocks_sha256": _blocks_sha256(raster, window)})
        sha256 = file_sha256(raster)
    except OSError as error:
        raise SourceMissing(f"cannot be read: {error.strerror}", source=file.href) from error
    if file.sha256 not in (None, sha256):
        raise SourceChanged(
            "the content changed although size, time of change and inode are the same",
            source=file.href,
            remedy=f"run `orograph sources index {ref.source.id} --fresh` and plan again",
        )
    return file.model_copy(update={"sha256": sha256})


def _is_tiff(path: Path) -> bool:
    with path.open("rb") as file:
        return is_tiff(file.read(16))


def _blocks_sha256(path: Path, window: Window | None) -> str:
    """sha256 of the stored blocks of full resolution that a window touches, in the order of their numbers."""
    digest = hashlib.sha256()
    with path.open("rb") as file:

        def read(start: int, end: int) -> bytes:
            file.seek(start)
            return file.read(end - start)

        index = read_index(read, path.stat().st_size, str(path))
        if index is None:
            return hashlib.file_digest(file, "sha256").hexdigest()
        level = index.levels[0]
        numbers = [] if window is None else level.blocks(window.col, window.row, window.width, window.height).tolist()
        for number in numbers:
            start, count = int(level.offsets[number]), int(level.counts[number])
            digest.update(read(start, start + count))
    return digest.hexdigest()
