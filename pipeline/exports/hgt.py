"""SRTM's HGT: one degree of big-endian 16-bit metres, samples on the degree lines, edges shared with the neighbours.

Heights are rounded half away from zero (0.5 -> 1, 2.5 -> 3, -0.5 -> -1), as GDAL's SRTMHGT driver does; a void is
-32768. The name gives the centre of the south-west *sample*, and the file has no other georeference, so this module
validates names, which GDAL does not do. HGT has no field for the vertical frame: the catalogue records it.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.grid import Cell
from orograph.pipeline.errors import BadIdentifier, ExportError
from orograph.pipeline.exports.cell_lattice import point_lattice
from orograph.pipeline.exports.mosaic import Mosaic, Shift
from orograph.pipeline.formats.scratch import writing

VOID: Final = -32768
SAMPLES: Final = {1: 3601, 3: 1201}
"""Samples per side by arc-seconds."""
LOWEST_M: Final = -500.0
HIGHEST_M: Final = 9000.0
_NAME: Final = re.compile(r"([NS]\d{2}[EW]\d{3})(\.SRTMGL[13])?\.(hgt|HGT)(\.zip)?", re.ASCII)
_ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)

Samples = npt.NDArray[np.int16]


def hgt_name(cell: Cell, *, zipped: bool = False) -> str:
    """The file name of a cell."""
    return f"{cell.id}.hgt" + (".zip" if zipped else "")


def cell_of_name(name: str) -> Cell:
    """The cell of a file name.

    Raises:
        ExportError: the name is not one of an HGT file.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise ExportError(f"{name!r} is not the name of an HGT file", remedy="use names such as N43E006.hgt")
    try:
        return Cell.parse(match[1])
    except BadIdentifier as fault:
        raise ExportError(f"{name!r} is not a valid position: {fault}") from fault


def round_heights(heights_m: npt.NDArray[np.float32]) -> Samples:
    """Round to whole metres, half away from zero, NaN as -32768.

    Raises:
        ExportError: a height is outside -500 to 9000 m, the range of land heights.
    """
    samples = np.empty(heights_m.shape, np.int16)
    outside, row, col = _round(heights_m, LOWEST_M, HIGHEST_M, samples)
    if outside:
        raise ExportError(
            f"{outside} heights are outside {LOWEST_M:g} to {HIGHEST_M:g} m, the first {heights_m[row, col]} m at"
            f" row {row}, column {col}",
            remedy="correct the source or set these pixels to nodata",
        )
    return samples


def sample_cell(mosaic: Mosaic, cell: Cell, arc_seconds: int, shift: Shift | None = None) -> Samples:
    """The samples of a cell, read from the 50 km tiles around each point; block by block.

    Args:
        mosaic: The tiles.
        cell: The cell.
        arc_seconds: 1 (3601 samples) or 3 (1201).
        shift: Transforms heights to the file's vertical frame.

    Raises:
        ExportError: a height that HGT cannot represent.
        OutsideCoverage: a tile is missing and the mosaic rejects missing tiles.
    """
    side = SAMPLES[arc_seconds]
    samples = np.empty((side, side), np.int16)
    for window, heights in mosaic.blocks(point_lattice(cell, side), shift):
        try:
            samples[window.slices] = round_heights(heights)
        except ExportError as fault:
            raise fault.at(tile=cell.id) from None
    return samples


def write_hgt(path: Path, cell: Cell, samples: Samples) -> None:
    """Write a cell, zipped if the name ends in `.zip`; the file appears complete or not at all.

    Args:
        path: Its name must be the cell's.
        cell: The cell of the samples.
        samples: int16 (3601, 3601) or (1201, 1201), first row north, -32768 void.

    Raises:
        ExportError: the name or shape is wrong.
        DiskFull, StoreUnwritable: the file cannot be written.
    """
    named = cell_of_name(path.name)
    if named != cell:
        raise ExportError(f"{path.name} would contain {cell}, but its name places it at {named}", tile=cell.id)
    if samples.dtype != np.int16 or samples.shape not in {(side, side) for side in SAMPLES.values()}:
        raise ExportError(f"HGT needs 3601 x 3601 or 1201 x 1201 int16 samples, got {samples.dtype} {samples.shape}")
    data = samples.astype(">i2").tobytes()
    partial = path.with_name(f".{path.name}.partial")
    try:
        with writing(path):
            if path.suffix == ".zip":
                with zipfile.ZipFile(partial, "w") as archive:
                    entry = zipfile.ZipInfo(hgt_name(cell), _ZIP_DATE)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    entry.external_attr = 0o644 << 16
                    archive.writestr(entry, data, compresslevel=6)
            else:
                partial.write_bytes(data)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_hgt(path: Path) -> tuple[Cell, Samples]:
    """Read a cell, zipped or not; (rows, columns) int16, -32768 void.

    Raises:
        ExportError: the name or the size is not one of an HGT file, or the zip contains another file.
    """
    cell = cell_of_name(path.name)
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
                if len(names) != 1 or cell_of_name(Path(names[0]).name) != cell:
                    raise ExportError(f"{path.name} contains {names}, expected {hgt_name(cell)}")
                if archive.getinfo(names[0]).file_size > 2 * SAMPLES[1] ** 2:
                    raise ExportError(f"{names[0]} in {path.name} is too large for HGT")
                data = archive.read(names[0])
        else:
            data = path.read_bytes()
    except (OSError, zipfile.BadZipFile) as fault:
        raise ExportError(f"{path.name} cannot be read: {fault}") from fault
    side = next((side for side in SAMPLES.values() if 2 * side * side == len(data)), None)
    if side is None:
        raise ExportError(f"{path.name} has {len(data)} bytes, HGT has 25934402 or 2884802")
    return cell, np.frombuffer(data, ">i2").astype(np.int16).reshape(side, side)


@compiled
def _round(heights: npt.NDArray[np.float32], lowest: float, highest: float, samples: Samples) -> tuple[int, int, int]:
    outside, first_row, first_col = 0, -1, -1
    for row in range(heights.shape[0]):
        for col in range(heights.shape[1]):
            height = float(heights[row, col])
            if height != height:  # noqa: PLR0124 - the compiler's way to ask for NaN
                samples[row, col] = -32768
            elif not lowest <= height <= highest:
                if outside == 0:
                    first_row, first_col = row, col
                outside += 1
                samples[row, col] = -32768
            elif height >= 0.0:
                samples[row, col] = np.int16(int(height + 0.5))
            else:
                samples[row, col] = np.int16(-int(0.5 - height))
    return outside, first_row, first_col
