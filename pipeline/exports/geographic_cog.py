"""Geographic 1-degree tiles of 1 arc-second: 3600 x 3600 areas of EPSG:4258, vertical frame in the metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.exports.cell_lattice import cell_geobox, pixel_lattice
from orograph.pipeline.exports.mosaic import Mosaic, Shift
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.vertical_datum import vertical_tags

PIXELS: Final = 3600


def write_geographic(
    mosaic: Mosaic,
    cell: Cell,
    out_path: Path,
    *,
    frame: str,
    shift: Shift | None = None,
    pixels: int = PIXELS,
    encoding: cog.Encoding = cog.Encoding(),  # noqa: B008 - a frozen value
) -> cog.CogInfo:
    """Sample a cell at the centres of its pixels and write it as COG, streamed.

    Args:
        mosaic: The 50 km tiles, in any frame.
        cell: The cell.
        out_path: The COG, float32 metres, -32768 void.
        frame: Vertical frame of the result, e.g. `EPSG:5621`.
        shift: Transforms heights from the tiles' frame to `frame`; None if they are equal.
        pixels: Pixels per side.
        encoding: Compression and overviews.

    Raises:
        ExportError, DiskFull, StoreUnwritable: as `cog.finish`.
    """
    scratch = out_path.with_name(f".{out_path.name}.scratch")
    with cog.scratch(scratch, cell_geobox(cell, pixels), encoding=encoding) as writer:
        for window, heights in mosaic.blocks(pixel_lattice(cell, pixels), shift):
            writer.write(window, heights)
    return cog.finish(
        scratch,
        out_path,
        tags=vertical_tags(frame),
        band_names=("elevation",),
        band_units=("m",),
    )
