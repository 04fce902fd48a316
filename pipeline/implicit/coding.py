"""Compact encoding of lattices: quantised, ordered from coarse to fine, entropy-coded.

The code is a sequence of bytes: small integers take one byte each, larger ones follow an escape; LZMA compresses it.
Error statistics always describe the decoded values.
"""

from __future__ import annotations

import lzma
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.errors import ModelError
from orograph.pipeline.implicit.splines import Float64Array
from orograph.pipeline.implicit.wavelets import Axis

Int32Array = npt.NDArray[np.int32]

_ESCAPE: Final = 255
_FILTERS: Final = [{"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME, "lc": 0, "lp": 0, "pb": 0}]


def pack(values: Int32Array) -> bytes:
    """Encode integers of any shape to bytes, in C order."""
    flat = values.ravel().astype(np.int64)
    folded = np.where(flat >= 0, 2 * flat, -2 * flat - 1)
    large = folded >= _ESCAPE
    small = np.where(large, _ESCAPE, folded).astype(np.uint8)
    # The bytes of large values follow the small ones in planes, so that similar bytes are adjacent.
    planes = folded[large].astype("<u4").view(np.uint8).reshape(-1, 4).T
    return lzma.compress(small.tobytes() + planes.tobytes(), format=lzma.FORMAT_RAW, filters=_FILTERS)


def unpack(data: bytes, count: int) -> Int32Array:
    """Decode the `count` integers of a code.

    Raises:
        ModelError: the bytes are not such a code, or contain another number of values.
    """
    try:
        raw = np.frombuffer(lzma.decompress(data, format=lzma.FORMAT_RAW, filters=_FILTERS), dtype=np.uint8)
    except (lzma.LZMAError, EOFError) as error:
        raise ModelError(f"the coefficients cannot be decoded: {error}", remedy="fetch the model file again") from error
    folded = raw[:count].astype(np.int64)
    large = np.flatnonzero(folded == _ESCAPE)
    if len(raw) != count + 4 * len(large):
        raise ModelError(f"the code contains {len(raw)} bytes, not {count} coefficients", remedy="fetch the file again")
    planes = raw[count:].reshape(4, -1).T
    folded[large] = np.ascontiguousarray(planes).view("<u4").ravel()
    return np.where(folded % 2 == 0, folded // 2, -(folded + 1) // 2).astype(np.int32)


def pack_lattice(levels: Int32Array) -> bytes:
    """Encode a dense lattice: differences along both axes, which are small on smooth terrain."""
    rows = np.diff(levels, axis=0, prepend=0)
    return pack(np.diff(rows, axis=1, prepend=0))


def unpack_lattice(data: bytes, shape: tuple[int, int]) -> Int32Array:
    """Decode the dense lattice of `pack_lattice`."""
    differences = unpack(data, shape[0] * shape[1]).reshape(shape)
    return np.cumsum(np.cumsum(differences, axis=1), axis=0, dtype=np.int64).astype(np.int32)


def pack_hierarchy(levels: Int32Array, rows: Axis, cols: Axis) -> bytes:
    """Encode a sparse hierarchy, band by band, coarse to fine, so that zeros are adjacent."""
    return pack(np.concatenate([levels[a, b].ravel() for a, b in _bands(rows, cols)]))


def unpack_hierarchy(data: bytes, rows: Axis, cols: Axis) -> Int32Array:
    """Decode the sparse hierarchy of `pack_hierarchy`."""
    flat = unpack(data, rows.size * cols.size)
    levels = np.zeros((rows.size, cols.size), dtype=np.int32)
    position = 0
    for a, b in _bands(rows, cols):
        shape = (a.stop - a.start, b.stop - b.start)
        count = shape[0] * shape[1]
        levels[a, b] = flat[position : position + count].reshape(shape)
        position += count
    return levels


def _bands(rows: Axis, cols: Axis) -> list[tuple[slice, slice]]:
    pairs = [(i, j) for i in range(rows.levels + 1) for j in range(cols.levels + 1)]
    pairs.sort(key=lambda pair: (max(pair), pair))
    return [(rows.bands[i], cols.bands[j]) for i, j in pairs]


def sparsify(
    hierarchy: Float64Array, keep: int, importance: Float64Array | None = None, fineness: float = 2.0
) -> tuple[Int32Array, float]:
    """Keep the `keep` most important coefficients, as multiples of one step.

    Args:
        hierarchy: Coefficients in an orthonormal basis, metres.
        keep: Maximum number of non-zero coefficients.
        importance: Factor on each coefficient's magnitude when the kept ones are chosen.
        fineness: Smallest kept magnitude over the step.

    Returns:
        Integers of the hierarchy's shape, and the step in metres.
    """
    magnitude = np.abs(hierarchy)
    ranked = magnitude if importance is None else magnitude * importance
    keep = min(keep, magnitude.size)
    chosen = np.argpartition(ranked, magnitude.size - keep, axis=None)[magnitude.size - keep :]
    flags = np.zeros(magnitude.size, dtype=np.bool_)
    flags[chosen] = True
    mask = flags.reshape(hierarchy.shape)
    # With many parameters the smallest kept one is close to zero; centimetres are enough.
    step = max(float(np.quantile(magnitude[mask], 0.001)) / fineness, 0.01)
    return np.where(mask, np.rint(hierarchy / step), 0.0).astype(np.int32), step
