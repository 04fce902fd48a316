"""Reads windows of a source in its own grid, over all its files, with voids as NaN.

Files that share a lattice (pixel size and phase) are read as one raster; a source whose files do not (GLO-30 across a
change of longitude spacing) is read as several groups, in the order of its files.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import numpy as np
from affine import Affine
from pyproj import CRS

from orograph.pipeline.core.block_mean import block_mean
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import SourceGridError
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.facts import Facts
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.sources.single_raster import HeightRaster

_PHASE_TOLERANCE_PX: Final = 2e-3
_SIZE_TOLERANCE: Final = 1e-7
_HALF_TURN_DEG: Final = 180.0


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a group and the position of its first pixel on the group's lattice."""

    header: Facts
    row: int
    col: int


@dataclass(frozen=True, slots=True)
class SourceGrid:
    """The files of a source that share one pixel grid.

    Attributes:
        affine: Lattice index to CRS of the source, corner based.
        members: Files; earlier ones have priority.
        factor: Number of native pixels per axis that each pixel of this lattice averages.
    """

    affine: Affine
    members: tuple[Member, ...]
    factor: int = 1

    @property
    def scaled_affine(self) -> Affine:
        """Affine from indices of averaged pixels to the CRS, corner based."""
        return self.affine * Affine.scale(self.factor)

    @property
    def index_bounds(self) -> tuple[int, int, int, int]:
        """First row, first column, end row, end column in lattice pixels."""
        rows = [(m.row, m.col, m.row + m.header.shape[0], m.col + m.header.shape[1]) for m in self.members]
        top, left = min(r[0] for r in rows), min(r[1] for r in rows)
        bottom, right = max(r[2] for r in rows), max(r[3] for r in rows)
        k = self.factor
        return top // k, left // k, -(-bottom // k), -(-right // k)


def group_files(headers: Sequence[Facts], source: Source) -> tuple[SourceGrid, ...]:
    """Sort files into lattices.

    The lattice's index is counted from a point that depends on pixel size and phase alone, not on which files a tile
    needs, so that neighbouring tiles see equal indices and thus equal bits.
    """
    groups: list[tuple[Affine, list[Member]]] = []
    for header, placed in [(facts, affine) for facts in headers for affine in _turns(facts)]:
        for affine, members in groups:
            place = _place(placed, affine)
            if place is not None:
                members.append(Member(header, *place))
                break
        else:
            anchor = _anchor(placed)
            place = _place(placed, anchor)
            if place is None:
                raise SourceGridError(f"{header.path} has no usable pixel grid {header.affine!r}", source=source.id)
            groups.append((anchor, [Member(header, *place)]))
    return tuple(SourceGrid(affine, tuple(members)) for affine, members in groups)


def _turns(header: Facts) -> tuple[Affine, ...]:
    """The georeferencing of a file; longitudes of 180 to 360 degrees also count as those of the western hemisphere."""
    affine = header.affine
    east = affine.c + header.shape[1] * affine.a
    if east <= _HALF_TURN_DEG + affine.a or not CRS.from_user_input(header.horizontal_crs).is_geographic:
        return (affine,)
    west_half = Affine(affine.a, affine.b, affine.c - 2 * _HALF_TURN_DEG, affine.d, affine.e, affine.f)
    return (west_half,) if affine.c >= _HALF_TURN_DEG else (affine, west_half)


def _anchor(affine: Affine) -> Affine:
    """The same lattice, counted from the pixel corner next to the CRS's origin.

    Size and phase are rounded (to a millionth of a pixel), so that differences in the last bits of the georeferencing
    do not split neighbouring files into two lattices.
    """
    width, height = float(f"{affine.a:.12g}"), float(f"{affine.e:.12g}")
    cols, rows = affine.c / width, affine.f / height
    phase_x, phase_y = round(cols - round(cols), 6), round(rows - round(rows), 6)
    return Affine(width, 0.0, phase_x * width, 0.0, height, phase_y * height)


def _place(affine: Affine, lattice: Affine) -> tuple[int, int] | None:
    """Row and column of a file's first pixel on a lattice; None where it does not fit."""
    same_size = abs(affine.a / lattice.a - 1) < _SIZE_TOLERANCE and abs(affine.e / lattice.e - 1) < _SIZE_TOLERANCE
    col, row = (affine.c - lattice.c) / lattice.a, (affine.f - lattice.f) / lattice.e
    fits = abs(col - round(col)) < _PHASE_TOLERANCE_PX and abs(row - round(row)) < _PHASE_TOLERANCE_PX
    return (round(row), round(col)) if same_size and fits else None


class SourceReader:
    """Reads windows of a source's lattices; open it with `with`, in one thread.

    Args:
        source: The source.
        files: Local files or sparse copies, in order of priority.

    Raises:
        SourceMissing, SourceCorrupt, SourceGridError, NodataError: from headers and samples.
        SourceChanged, SourceInaccessible, SourceUnavailable: a block of a remote file cannot be fetched.
    """

    def __init__(self, source: Source, files: Sequence[RasterFile]) -> None:
        self.source = source
        headers = [read_header(file, source) for file in files]
        self.lattices = group_files(headers, source)
        self._files = {header.path: file for header, file in zip(headers, files, strict=True)}
        self._open = ExitStack()
        self._rasters: dict[str, HeightRaster] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def bytes_read(self) -> int:
        """Bytes of samples read so far."""
        return sum(raster.bytes_read for raster in self._rasters.values())

    @property
    def facts(self) -> tuple[Facts, ...]:
        """Facts of each file, in the order of the lattices."""
        return tuple(member.header for lattice in self.lattices for member in lattice.members)

    def read(self, lattice: SourceGrid, row: int, col: int, height: int, width: int) -> FloatArray:
        """Heights of a lattice window in metres: float32, NaN where no file has a height."""
        k = lattice.factor
        native = self._read_native(lattice, row * k, col * k, height * k, width * k)
        return native if k == 1 else block_mean(native, k)

    def _read_native(self, lattice: SourceGrid, row: int, col: int, height: int, width: int) -> FloatArray:
        out: FloatArray | None = None
        for member in lattice.members:
            top, left = max(row, member.row), max(col, member.col)
            bottom = min(row + height, member.row + member.header.shape[0])
            right = min(col + width, member.col + member.header.shape[1])
            if top >= bottom or left >= right:
                continue
            raster = self._raster(member.header)
            heights = raster.read(top - member.row, left - member.col, bottom - top, right - left)
            if out is None and heights.shape == (height, width):
                out = np.ascontiguousarray(heights)
                continue
            out = _void((height, width)) if out is None else out
            target = out[top - row : bottom - row, left - col : right - col]
            np.copyto(target, heights, where=np.isnan(target))
        return _void((height, width)) if out is None else out

    def _raster(self, facts: Facts) -> HeightRaster:
        raster = self._rasters.get(facts.path)
        if raster is None:
            opened = HeightRaster(facts, self.source.id, self._files[facts.path])
            raster = self._rasters[facts.path] = self._open.enter_context(opened)
        return raster


def _void(shape: tuple[int, int]) -> FloatArray:
    return np.full(shape, np.nan, np.float32)
