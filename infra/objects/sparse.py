"""A sparse local copy of a remote TIFF: contains the header, and each block after a window needed it.

GDAL reads a plain local file, so every codec it knows works. A hole in that file would read as zeros or as a block that
is not stored; so the reader calls `ensure` with each window first, which raises an error if a block cannot be fetched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.infra.objects.cache import NodeCache
from orograph.infra.objects.counts import ReadCounts
from orograph.pipeline.errors import DiskFull, SourceCorrupt
from orograph.pipeline.formats.tiff_index import IndexedLevel, TiffIndex, read_index
from orograph.pipeline.sources.refs import FileRef

_LONGEST_RUN: Final = 16 * 2**20
_THREADS: Final = 4
"""Runs in flight; with the longest run this bounds the memory of reading."""
_SMALL_GAP: Final = 4 * 2**10
_LARGEST_GAP: Final = 256 * 2**10
_GAP_SHARE: Final = 0.05
_AHEAD_BYTES: Final = 64 * 2**20

GetRange = Callable[[int, int], bytes]
Block = tuple[int, int]
"""First byte and size."""


@dataclass(frozen=True, slots=True)
class Window:
    """A pixel window of the full resolution."""

    col: int
    row: int
    width: int
    height: int


class SparseCopy:
    """A sparse local copy, made by `SparseCopy.opened`. Satisfies `orograph.pipeline.sources.partial.PartialRaster`."""

    def __init__(
        self, file: FileRef, path: Path, index: TiffIndex, get: GetRange, cache: NodeCache | None, counts: ReadCounts
    ) -> None:
        self.file, self.path, self.index = file, path, index
        self._get, self._cache, self._counts = get, cache, counts
        self._present: dict[int, npt.NDArray[np.bool_]] = {}
        self._needed: dict[int, npt.NDArray[np.bool_]] = {}
        self._ahead: Window | None = None
        self._lock = threading.Lock()

    @property
    def href(self) -> str:
        """Address of the raster."""
        return self.file.href

    @property
    def is_tiled(self) -> bool:
        """Whether a window needs less than whole rows of the raster."""
        full = self.index.levels[0]
        return full.block_width < full.width or full.width <= 1024

    @classmethod
    def opened(
        cls, file: FileRef, path: Path, get: GetRange, cache: NodeCache | None, counts: ReadCounts
    ) -> SparseCopy | None:
        """Fetch the header into a sparse file of the object's size; None where the header gives no block sizes.

        Raises:
            SourceCorrupt: not a TIFF, or a damaged header.
            DiskFull: no space for the header.
        """

        def read(start: int, end: int) -> bytes:
            kept = None if cache is None else cache.get(file, start, end)
            if kept is not None:
                counts.add(needed=len(kept), hits=1, cached=len(kept))
                return kept
            data = get(start, end)
            counts.add(needed=len(data))
            if cache is not None:
                cache.put(file, start, data)
            return data

        index = read_index(read, file.size_bytes, file.href)
        if index is None:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("wb") as out:
                out.truncate(file.size_bytes)
                for start, data in index.header.items():
                    out.seek(start)
                    out.write(data)
        except OSError as error:
            raise DiskFull(
                f"no space for {file.href}: {error}", remedy="free space or choose another --scratch"
            ) from error
        index.header.clear()
        return cls(file, path, index, get, cache, counts)

    def expect(self, window: Window) -> None:
        """Announce the full-resolution window that will be read; its blocks are fetched with the first needed one."""
        self._ahead = window

    def ensure(self, col: int, row: int, width: int, height: int, shape: tuple[int, int]) -> None:
        """See `PartialRaster.ensure`."""
        level = self.index.level(shape[1], shape[0])
        if level is None:
            raise SourceCorrupt(f"no image of {shape[1]} x {shape[0]} pixels", source=self.href)
        with self._lock:
            present = self._of(self._present, level)
            needed = self._of(self._needed, level)
            blocks = level.blocks(col, row, width, height)
            fresh = blocks[~needed[blocks]]
            if fresh.size:
                needed[fresh] = True
                self._counts.add(needed=int(level.counts[fresh].sum()))
            missing = blocks[~present[blocks]]
            if (level.counts[missing] > 0).any():
                missing = self._with_those_ahead(level, missing)
                self._bring(level, missing)
            present[missing] = True

    def bytes_of(self, window: Window) -> int:
        """Compressed bytes of the full-resolution blocks that a window touches."""
        level = self.index.levels[0]
        return int(level.counts[level.blocks(window.col, window.row, window.width, window.height)].sum())

    def _of(self, planes: dict[int, npt.NDArray[np.bool_]], level: IndexedLevel) -> npt.NDArray[np.bool_]:
        return planes.setdefault(id(level), np.zeros(level.offsets.size, bool))

    def _with_those_ahead(self, level: IndexedLevel, missing: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        if self._ahead is None or level is not self.index.levels[0]:
            return missing
        ahead, self._ahead = self._ahead, None
        blocks = np.union1d(missing, level.blocks(ahead.col, ahead.row, ahead.width, ahead.height))
        blocks = blocks[~self._of(self._present, level)[blocks]]
        return missing if level.counts[blocks].sum() > _AHEAD_BYTES else blocks

    def _bring(self, level: IndexedLevel, blocks: npt.NDArray[np.int64]) -> None:
        stored = blocks[level.counts[blocks] > 0]
        # Identical blocks may share their bytes.
        wanted = sorted(set(zip(level.offsets[stored].tolist(), level.counts[stored].tolist(), strict=True)))
        descriptor = os.open(self.path, os.O_WRONLY)
        try:
            rest = [block for block in wanted if not self._from_cache(descriptor, block)]
            runs = merged_runs(rest)
            futures = [_pool().submit(self._fetch_run, descriptor, run) for run in runs]
            wait(futures)  # all of them, for the file is closed next
            for future in futures:
                future.result()
        except OSError as error:
            raise DiskFull(
                f"no space for {self.href}: {error}", remedy="free space or choose another --scratch"
            ) from error
        finally:
            os.close(descriptor)

    def _from_cache(self, descriptor: int, block: Block) -> bool:
        data = None if self._cache is None else self._cache.get(self.file, block[0], block[0] + block[1])
        if data is None:
            return False
        self._counts.add(hits=1, cached=len(data))
        _write(descriptor, data, block[0])
        return True

    def _fetch_run(self, descriptor: int, run: Sequence[Block]) -> None:
        if self._cache is None:
            self._fetch(descriptor, run)
            return
        with self._cache.locked(self.file, run[0][0], _end(run)):
            # Another worker may have fetched some of them while this one waited.
            rest = [block for block in run if not self._from_cache(descriptor, block)]
            for part in merged_runs(rest):
                self._fetch(descriptor, part)

    def _fetch(self, descriptor: int, run: Sequence[Block]) -> None:
        first = run[0][0]
        data = self._get(first, _end(run))
        for offset, count in run:
            block = data[offset - first : offset - first + count]
            _write(descriptor, block, offset)
            if self._cache is not None:
                self._cache.put(self.file, offset, block)


def merged_runs(blocks: Sequence[Block]) -> list[list[Block]]:
    """Group blocks, sorted by offset, into one list per request.

    Small gaps are read and discarded: a COG has 8 bytes between its blocks.
    """
    runs: list[list[Block]] = []
    end = length = 0
    for offset, count in blocks:
        gap = offset - end
        allowed = max(_SMALL_GAP, min(_LARGEST_GAP, int(length * _GAP_SHARE)))
        if runs and gap <= allowed and length + gap + count <= _LONGEST_RUN:
            runs[-1].append((offset, count))
        else:
            runs.append([(offset, count)])
        end = max(end, offset + count) if len(runs[-1]) > 1 else offset + count
        length = end - runs[-1][0][0]
    return runs


def _end(run: Sequence[Block]) -> int:
    return max(offset + count for offset, count in run)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)


_pools: dict[int, Any] = {}


def _pool() -> ThreadPoolExecutor:
    """Threads of this process, shared by all of its copies."""
    pool = _pools.get(os.getpid())
    if pool is None:
        _pools.clear()
        pool = _pools[os.getpid()] = ThreadPoolExecutor(_THREADS, thread_name_prefix="ranges")
    return pool
