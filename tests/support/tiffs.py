"""TIFF files made by hand: honest small ones, and bombs."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine


def write_heights(path: Path, heights: np.ndarray, **options: object) -> Path:
    """A GeoTIFF of EPSG:3035 heights."""
    profile = {
        "driver": "GTiff",
        "compress": "zstd",
        "predictor": 3,
        "tiled": True,
        "blockxsize": 128,
        "blockysize": 128,
    }
    profile |= {"nodata": -9999.0, "crs": "EPSG:3035", "transform": Affine(10, 0, 4_300_000, 0, -10, 2_700_000)}
    profile |= options
    profile = {name: value for name, value in profile.items() if value is not None}
    rows, columns = heights.shape
    with rasterio.open(path, "w", width=columns, height=rows, count=1, dtype="float32", **profile) as target:
        target.write(heights.astype(np.float32), 1)
    return path


def tiff(entries: list[tuple[int, int, int, int]], *, directories: int = 1, circular: bool = False) -> bytes:
    """A classic little-endian TIFF: entries are (tag, type, count, value), the same in every directory."""
    body = struct.pack("<H", len(entries))
    for tag, kind, count, value in sorted(entries):
        body += struct.pack("<HHI", tag, kind, count) + struct.pack("<I", value)
    size = len(body) + 4
    parts = [struct.pack("<2sHI", b"II", 42, 8)]
    for number in range(directories):
        last = number == directories - 1
        following = 8 if last and circular else 0 if last else 8 + (number + 1) * size
        parts += [body, struct.pack("<I", following)]
    return b"".join(parts)


def image(
    width: int, height: int, *, block: tuple[int, int] | None = None, bands: int = 1
) -> list[tuple[int, int, int, int]]:
    """The tags of an image."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 32), (277, 3, 1, bands)]
    return tags + ([(322, 4, 1, block[1]), (323, 4, 1, block[0])] if block else [(278, 4, 1, height)])
