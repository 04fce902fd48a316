"""Combines patches of relative heights into one seamless map: the paper's chain, or a global adjustment of offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from orograph.pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class CropLayout:
    """Patches of one size that overlap by a few pixels and cover a map; the last ones are pushed back inside.

    Attributes:
        rows, cols: Size of the map, pixels.
        patch_px: Side of a patch.
        overlap_px: Minimum overlap of neighbours.
    """

    rows: int
    cols: int
    patch_px: int = 256
    overlap_px: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.overlap_px < self.patch_px:
            raise ConfigError(f"invalid layout: patches of {self.patch_px} px overlap by {self.overlap_px} px")
        if min(self.rows, self.cols) < self.patch_px:
            raise ConfigError(
                f"a map of {self.rows} x {self.cols} px is smaller than a patch of {self.patch_px}",
                remedy="use smaller patches",
            )

    @property
    def starts(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """First rows and first columns of the patches."""
        return self._axis(self.rows), self._axis(self.cols)

    def _axis(self, size: int) -> tuple[int, ...]:
        step = self.patch_px - self.overlap_px
        last = size - self.patch_px
        return (*range(0, last, step), last)

    @property
    def count(self) -> int:
        """Number of patches."""
        return len(self.starts[0]) * len(self.starts[1])

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """Upper left corner of every patch, row by row."""
        return tuple((row, col) for row in self.starts[0] for col in self.starts[1])


def chain_offsets(patches: Sequence[np.ndarray], layout: CropLayout) -> np.ndarray:
    """Offsets by the paper's method: from the top left patch along the first row, then down each column.

    Each patch is shifted so that its mean in the overlap with the previous patch is the same; errors accumulate along
    the chain.

    Returns:
        One offset per patch, metres; the first is 0.
    """
    _check(patches, layout)
    across = len(layout.starts[1])
    offsets = np.zeros(len(patches))
    for k in range(1, len(patches)):
        before = k - 1 if k < across else k - across
        difference, count = _difference(patches, layout, before, k)
        offsets[k] = offsets[before] + (difference if count else 0.0)
    return offsets


def global_offsets(patches: Sequence[np.ndarray], layout: CropLayout) -> np.ndarray:
    """All offsets by one least-squares solution over every overlap, weighted by its pixels.

    Errors are distributed evenly instead of accumulating along a chain. The first offset is 0.
    """
    _check(patches, layout)
    down, across = (len(axis) for axis in layout.starts)
    pairs = [(r * across + c, r * across + c + 1) for r in range(down) for c in range(across - 1)]
    pairs += [(r * across + c, (r + 1) * across + c) for r in range(down - 1) for c in range(across)]
    measured = [(a, b, *_difference(patches, layout, a, b)) for a, b in pairs]
    measured = [entry for entry in measured if entry[3]]
    if not measured:
        return np.zeros(len(patches))
    weight = np.sqrt([count for *_, count in measured])
    rows = np.repeat(np.arange(len(measured)), 2)
    columns = np.array([(a, b) for a, b, *_ in measured]).ravel()
    data = np.stack([-weight, weight], axis=1).ravel()
    system = scipy.sparse.csr_array((data, (rows, columns)), shape=(len(measured), len(patches)))
    target = weight * np.array([difference for _, _, difference, _ in measured])
    # A weak damping keeps unconnected patches at zero.
    solution = scipy.sparse.linalg.lsqr(system, target, damp=1e-6, atol=1e-12, btol=1e-12)[0]
    return np.asarray(solution - solution[0])


def assemble(patches: Sequence[np.ndarray], offsets_m: np.ndarray, layout: CropLayout) -> np.ndarray:
    """The map, float32: shifted patches, their mean where they overlap."""
    _check(patches, layout)
    total = np.zeros((layout.rows, layout.cols))
    count = np.zeros((layout.rows, layout.cols))
    for patch, offset, (row, col) in zip(patches, offsets_m, layout.places, strict=True):
        part = (slice(row, row + layout.patch_px), slice(col, col + layout.patch_px))
        known = np.isfinite(patch)
        total[part] += np.where(known, patch + offset, 0.0)
        count[part] += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _difference(patches: Sequence[np.ndarray], layout: CropLayout, a: int, b: int) -> tuple[float, int]:
    """Offset of patch b relative to patch a, and the number of common pixels."""
    (row_a, col_a), (row_b, col_b) = layout.places[a], layout.places[b]
    top, left = max(row_a, row_b), max(col_a, col_b)
    bottom, right = min(row_a, row_b) + layout.patch_px, min(col_a, col_b) + layout.patch_px
    first = patches[a][top - row_a : bottom - row_a, left - col_a : right - col_a]
    second = patches[b][top - row_b : bottom - row_b, left - col_b : right - col_b]
    difference = first - second
    known = np.isfinite(difference)
    return (float(difference[known].mean()), int(known.sum())) if known.any() else (0.0, 0)


def _check(patches: Sequence[np.ndarray], layout: CropLayout) -> None:
    if len(patches) != layout.count or any(p.shape != (layout.patch_px,) * 2 for p in patches):
        raise ConfigError(f"{len(patches)} patches for a layout of {layout.count} of {layout.patch_px} px")
