"""The second pass: makes the shifts of one source continuous over neighbouring tiles.

Tiles are estimated one by one, so two tiles that share an edge may shift the same source differently and leave a step
there. This module replaces each source's shifts by a surface with values at tile corners, bilinear inside: both
sides of an edge read the same two corners. Tiles without an observable shift get their neighbours' shift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from scipy import sparse
from scipy.sparse.linalg import splu, spsolve

from orograph.pipeline.core.grid import TILE_SIZE_KM, Tile
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import CoregistrationError
from orograph.pipeline.manifest import CoregistrationRecord

Array = npt.NDArray[Any]
Corner = tuple[int, int]
"""Easting and northing of a tile corner, kilometres."""

LEAST_ERROR_M: Final = 0.1
UNKNOWN_ERROR_M: Final = 1.0
ANCHOR_ERROR_M: Final = 10.0
"""A source without any estimate has zero shift, with this standard deviation."""
_TILES_AT_ONCE: Final = 256
_HEIGHT_ONLY: Final = frozenset({"unobservable", "rejected", "one_direction"})
"""Statuses whose horizontal shift is not known in both directions: the neighbours' shifts are used."""
_PARTS: Final = ("shift_east_m", "shift_north_m", "shift_up_m")


def smooth_shifts(
    records: Mapping[Tile, Sequence[CoregistrationRecord]], variation_m: float = 1.0
) -> dict[Tile, tuple[CoregistrationRecord, ...]]:
    """Make every source's shifts agree on shared tile edges.

    The surface minimises the squared distance of each tile's mean to its own estimate, in units of its standard error,
    plus the squared differences between neighbouring corners in units of `variation_m`. A tile in which the source is
    the reference counts as zero. Statuses stay; `details` gain `corners_m` (north-west, north-east, south-west,
    south-east; east, north, up each), `own_shift_m` and `up_error_m`, the standard deviation of the mean upward shift.

    Args:
        records: Records of each tile, as in its manifest.
        variation_m: Typical change of a shift over the side of a tile, metres.

    Returns:
        Records in the same order; records of method `none` are returned as they are.

    Raises:
        CoregistrationError: `variation_m` is not above zero.
    """
    if not variation_m > 0:
        raise CoregistrationError(f"invalid variation of shifts: {variation_m} m", remedy="give a length above zero")
    out = {tile: list(of_tile) for tile, of_tile in records.items()}
    places: dict[str, list[tuple[Tile, int]]] = {}
    for tile in sorted(records):
        for number, record in enumerate(records[tile]):
            if record.status != "none":
                places.setdefault(record.source, []).append((tile, number))
    for where in places.values():
        own = [records[tile][number] for tile, number in where]
        for (tile, number), record in zip(where, _smoothed([t for t, _ in where], own, variation_m), strict=True):
            out[tile][number] = record
    return {tile: tuple(of_tile) for tile, of_tile in out.items()}


def _smoothed(tiles: list[Tile], records: list[CoregistrationRecord], variation_m: float) -> list[CoregistrationRecord]:
    """One source's records, smoothed over its tiles."""
    corners = sorted({corner for tile in tiles for corner in _corners(tile)})
    index = {corner: k for k, corner in enumerate(corners)}
    of_tile = np.array([[index[corner] for corner in _corners(tile)] for tile in tiles])
    rows = np.repeat(np.arange(len(tiles)), 4)
    mean = sparse.csr_array((np.full(rows.size, 0.25), (rows, of_tile.ravel())), shape=(len(tiles), len(corners)))
    links = _links(of_tile, len(corners))
    prior = links.T @ links / variation_m**2 + sparse.eye_array(len(corners)) * (1e-6 / ANCHOR_ERROR_M**2)
    surface = np.empty((len(corners), 3))
    for part, name in enumerate(_PARTS):
        values = np.array([getattr(record, name) for record in records])
        weight = np.array([_weight(record, part) for record in records])
        system = sparse.csc_array(prior + mean.T @ sparse.diags_array(weight) @ mean)
        surface[:, part] = np.atleast_1d(spsolve(system, mean.T @ (weight * values)))
    # A source that no tile has observed stays unchanged, with no additional uncertainty.
    up_error = _spread(system, mean) if weight.any() else np.zeros(len(tiles))
    return [_with_corners(record, surface[of_tile[i]], up_error[i]) for i, record in enumerate(records)]


def _spread(system: Any, mean: Any) -> Array:
    """Standard deviations of the tiles' means, from the normal equations of the corners, some tiles at a time."""
    solver = splu(system)
    spread = []
    for start in range(0, mean.shape[0], _TILES_AT_ONCE):
        part = mean[start : start + _TILES_AT_ONCE].toarray()
        spread.append(np.sqrt(np.sum(part * solver.solve(part.T).T, axis=1)))
    return np.concatenate(spread)


def _corners(tile: Tile) -> tuple[Corner, Corner, Corner, Corner]:
    """Values of the north-west, north-east, south-west and south-east corners."""
    west, south = tile.east_km, tile.north_km
    east, north = west + TILE_SIZE_KM, south + TILE_SIZE_KM
    return (west, north), (east, north), (west, south), (east, south)


def _links(of_tile: Array, corners: int) -> Any:
    """Differences along the sides of tiles, each side once."""
    sides = {
        (min(a, b), max(a, b))
        for nw, ne, sw, se in of_tile.tolist()
        for a, b in ((nw, ne), (sw, se), (nw, sw), (ne, se))
    }
    pairs = np.array(sorted(sides))
    rows = np.repeat(np.arange(len(pairs)), 2)
    signs = np.tile([1.0, -1.0], len(pairs))
    return sparse.csr_array((signs, (rows, pairs.ravel())), shape=(len(pairs), corners))


def _weight(record: CoregistrationRecord, part: int) -> float:
    """Inverse variance of one component; zero if the record does not constrain it."""
    if record.status == "reference":
        return 1.0 / LEAST_ERROR_M**2
    if record.status == "too_few" or (record.status in _HEIGHT_ONLY and part < 2):
        return 0.0
    errors = record.details.get("standard_error_m") or [None, None, None]
    error = UNKNOWN_ERROR_M if errors[part] is None else float(errors[part])
    return 1.0 / (error**2 + LEAST_ERROR_M**2)


def _with_corners(record: CoregistrationRecord, corners: Array, up_error_m: float) -> CoregistrationRecord:
    """The record with its shift replaced by the surface's mean over the tile."""
    mean = corners.mean(axis=0)
    details = record.details | {
        "corners_m": np.round(corners, 6).tolist(),
        "own_shift_m": [getattr(record, name) for name in _PARTS],
        "up_error_m": round(float(up_error_m), 6),
    }
    shifts = {name: float(mean[part]) for part, name in enumerate(_PARTS)}
    return record.model_copy(update={**shifts, "details": details})


def smoothed_error_m(record: CoregistrationRecord) -> float:
    """Standard deviation of a smoothed record's upward shift, metres; its own estimate's if none is recorded."""
    own = record.details.get("standard_error_m") or (None, None, None)
    error_m = record.details.get("up_error_m", own[2])
    return 0.0 if error_m is None else float(error_m)


def corner_displacement(
    record: CoregistrationRecord, tile: Tile, geobox: GeoBox
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """East, north and up displacement (metres, float32) of a smoothed record at the pixel centres of a grid.

    Bilinear between the tile's corners, constant beyond them; two tiles give the same values along a shared edge.

    Raises:
        CoregistrationError: the record did not go through `smooth_shifts`.
    """
    corners = record.details.get("corners_m")
    if corners is None:
        raise CoregistrationError("the record has no corners", source=record.source, remedy="use `smooth_shifts` first")
    nw, ne, sw, se = (np.asarray(corner, float) for corner in corners)
    west, south, east, north = tile.bounds_m
    affine, (rows, cols) = geobox.affine, geobox.shape.shape
    x = np.clip((affine.c + affine.a * (np.arange(cols) + 0.5) - west) / (east - west), 0.0, 1.0)[None, :]
    y = np.clip((north - affine.f - affine.e * (np.arange(rows) + 0.5)) / (north - south), 0.0, 1.0)[:, None]
    parts = [
        ((1 - y) * ((1 - x) * nw[k] + x * ne[k]) + y * ((1 - x) * sw[k] + x * se[k])).astype(np.float32)
        for k in range(3)
    ]
    return parts[0], parts[1], parts[2]
