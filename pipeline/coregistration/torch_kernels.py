"""The pixel kernels in torch, for a GPU: the same arithmetic as `kernels.py` on whole bands instead of runs of a row.

Normal equations, residuals and the last interpolation run on the device; void repair, block algebra and the solver run
on the CPU. Rasters are copied to the device once per object. Block
sums are products with matrices of zeros and ones, in double precision: no atomic additions, whose order would differ
from run to run. Results are those of the compiled kernels to single precision.
"""

from __future__ import annotations

from typing import Any, Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.torch_device import torch_device
from orograph.pipeline.coregistration import kernels, spline
from orograph.pipeline.coregistration.cpu_kernels import cpu_kernels

Array = npt.NDArray[Any]
Tensor = Any

_FILTER_REACH: Final = 20
_KEYS: Final = ((0.0, -0.5, 1.0, -0.5), (1.0, 0.0, -2.5, 1.5), (0.0, 0.5, 2.0, -1.5), (0.0, 0.0, -0.5, 0.5))
"""Coefficients of 1, t, t2, t3 of Keys' four weights."""
_SPLINE: Final = ((1.0, -3.0, 3.0, -1.0), (4.0, 0.0, -6.0, 3.0), (1.0, 3.0, 3.0, -3.0), (0.0, 0.0, 0.0, 1.0))
"""The same for six times the cubic B-spline."""


class Kernels(Protocol):
    """The pixel kernels, see `kernels.py`: that module, or `TorchKernels`."""

    accumulate: Any
    residuals: Any
    warp: Any


COMPILED: Final = cast("Kernels", kernels)
"""The compiled kernels of the CPU."""


def kernels_for(device: str | None) -> Kernels:
    """The compiled kernels of the CPU, or torch on a device such as `cuda`, `cuda:1` or `cpu`.

    Raises:
        ConfigError: this machine has no such device.
    """
    return cast("Kernels", cpu_kernels() if device is None else TorchKernels(device))


class TorchKernels:
    """`accumulate`, `residuals` and `warp` of `kernels.py` on a torch device, with the same arguments."""

    def __init__(self, device: str) -> None:
        import torch

        self._device = torch_device(device)
        self._torch = torch
        self._sent: dict[int, tuple[Array, Tensor]] = {}

    def _send(self, array: Array) -> Tensor:
        """An array on the device, flattened; sent once."""
        known = self._sent.get(id(array))
        if known is None:
            known = (array, self._torch.from_numpy(np.ascontiguousarray(array).reshape(-1)).to(self._device))
            self._sent[id(array)] = known
        return known[1]

    def _put(self, values: Array) -> Tensor:
        """An array on the device."""
        return self._torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def accumulate(
        self,
        reference: Array,
        moving: Array,
        despiked: Array,
        holes: bool,
        inliers: Array,
        geometry: Array,
        polynomial: Array,
        lattice: Array,
        scale: Array,
        gate: float,
        step: int,
        row_edges: Array,
        col_edges: Array,
        first: int,
        last: int,
        sums: Array,
    ) -> None:
        """Accumulate normal equations by block; see `coregistration.kernels.accumulate`."""
        torch = self._torch
        rows = np.arange(row_edges[first] + (-row_edges[first]) % step, row_edges[last], step)
        cols = np.arange(reference.shape[1])
        residual, ge, gn, counts = self._compare(
            (reference, moving, despiked, inliers), holes, (geometry, polynomial, lattice), rows, cols
        )
        sigma = float(scale[0]) + float(scale[1]) * torch.sqrt(ge * ge + gn * gn)
        precision = 1.0 / (sigma * sigma)
        q = 1.0 - residual * residual * precision / (gate * gate)
        used = counts & (q > 0)
        w = torch.where(used, q * q * precision, 0.0)
        residual, ge, gn = (torch.where(used, x, 0.0) for x in (residual, ge, gn))
        we, wn, wr = w * ge, w * gn, w * residual
        parts = (we * ge, we * gn, we, wn * gn, wn, w, we * residual, wn * residual, wr, wr * residual, used)
        by_row, by_col = self._members(rows, row_edges[first : last + 1]), self._members(cols, col_edges)
        for k, part in enumerate(parts):
            sums[first:last, :, k] = (by_row @ part.double() @ by_col.T).cpu().numpy()

    def residuals(
        self,
        reference: Array,
        moving: Array,
        despiked: Array,
        holes: bool,
        inliers: Array,
        geometry: Array,
        polynomial: Array,
        lattice: Array,
        step: int,
        first: int,
        last: int,
        out: Array,
        slope: Array,
    ) -> None:
        """Compute residuals and slopes; see `coregistration.kernels.residuals`."""
        rows, cols = np.arange(first, last) * step, np.arange(out.shape[1]) * step
        residual, ge, gn, counts = self._compare(
            (reference, moving, despiked, inliers), holes, (geometry, polynomial, lattice), rows, cols
        )
        void = float("nan")
        out[first:last] = self._torch.where(counts, residual, void).cpu().numpy()
        slope[first:last] = self._torch.where(counts, self._torch.sqrt(ge * ge + gn * gn), void).cpu().numpy()

    def warp(
        self,
        moving: Array,
        despiked: Array,
        holes: bool,
        geometry: Array,
        polynomial: Array,
        lattice: Array,
        first: int,
        last: int,
        out: Array,
    ) -> None:
        """Write rows of the displaced raster; see `coregistration.kernels.warp`."""
        torch = self._torch
        shape, rows, cols = moving.shape, np.arange(first, last), np.arange(out.shape[1])
        y, x, up = self._places((geometry, polynomial, lattice), rows, cols)
        inside = (y >= -0.5) & (x >= -0.5) & (y < shape[0] - 0.5) & (x < shape[1] - 0.5)
        y, x = torch.where(inside, y, 0.0), torch.where(inside, x, 0.0)
        near = torch.floor(y + 0.5).long() * shape[1] + torch.floor(x + 0.5).long()
        valid = inside & ~torch.isnan(self._put(moving).reshape(-1)[near]) if holes else inside
        # Two more pixels on all sides, by odd reflection, are all that the sixteen taps can reach beyond an edge.
        coefficients = _beyond(torch, self._coefficients(despiked), 2)
        y, x = y + 2.0, x + 2.0
        row, col = torch.floor(y), torch.floor(x)
        start = (row.long() - 1) * coefficients.shape[1] + col.long() - 1
        s, t = (y - row).float(), (x - col).float()
        base, taps = _taps(coefficients.reshape(-1), start, coefficients.shape[1])
        value = base + _tensor(taps, _weights(_SPLINE, s), _weights(_SPLINE, t)) / 36.0 + up.float()
        out[first:last] = torch.where(valid, value, float("nan")).cpu().numpy()

    def _coefficients(self, heights: Array) -> Tensor:
        """The spline's coefficients, float32: the prefilter as a convolution, truncated below 1e-11."""
        torch = self._torch
        whole = heights.astype(np.float32)
        spline.paper_over(whole)
        values = self._put(whole).double()
        taps = torch.arange(-_FILTER_REACH, _FILTER_REACH + 1, device=self._device)
        kernel = (np.sqrt(3.0) * spline.POLE ** taps.abs().double()).reshape(1, 1, -1)
        for axis in (1, 0):
            lines = values if axis else values.T
            lines = _beyond(torch, lines, _FILTER_REACH, rows=False)
            lines = torch.nn.functional.conv1d(lines[:, None, :], kernel)[:, 0, :]
            values = lines if axis else lines.T
        return values.float()

    def _compare(
        self,
        rasters: tuple[Array, Array, Array, Array],
        holes: bool,
        field: tuple[Array, Array, Array],
        rows: Array,
        cols: Array,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Residuals, slopes east and north, and whether pixels count, shape (rows, cols)."""
        torch, (reference, moving, despiked, inliers) = self._torch, rasters
        height, width = moving.shape
        y, x, up = self._places(field, rows, cols)
        inside = (y >= 1.0) & (x >= 1.0) & (y < height - 2) & (x < width - 2)
        if height < 4 or width < 4:
            return up.float(), up.float(), up.float(), inside & False
        y, x = torch.where(inside, y, 1.0), torch.where(inside, x, 1.0)
        row, col = y.long(), x.long()
        place = self._put(rows)[:, None] * reference.shape[1] + self._put(cols)[None, :]
        target = self._send(reference)[place]
        counts = inside & self._send(inliers)[place] & ~torch.isnan(target)
        if holes:
            near = (y + 0.5).long() * width + (x + 0.5).long()
            counts &= ~torch.isnan(self._send(moving)[near])
        base, taps = _taps(self._send(despiked), (row - 1) * width + col - 1, width)
        s, t = (y - row).float(), (x - col).float()
        by_row, by_col = _weights(_KEYS, s), _weights(_KEYS, t)
        along_x = _tensor(taps, by_row, _derivatives(_KEYS, t))
        along_y = _tensor(taps, _derivatives(_KEYS, s), by_col)
        residual = (target - base) - _tensor(taps, by_row, by_col) - up.float()
        return residual, -along_x * float(field[0][8]), along_y * float(field[0][9]), counts

    def _places(self, field: tuple[Array, Array, Array], rows: Array, cols: Array) -> tuple[Tensor, Tensor, Tensor]:
        """Row and column read in the moving raster, and the displacement upwards, float64 (rows, cols)."""
        g, polynomial, lattice = field
        row, col = self._put(rows).double()[:, None], self._put(cols).double()[None, :]
        v = (g[0] + g[1] * row + 0.5) * 2.0 / g[10] - 1.0
        u = (g[2] + g[3] * col + 0.5) * 2.0 / g[11] - 1.0
        moves = [p[0] + u * (p[1] + u * p[3]) + v * (p[2] + u * p[4] + v * p[5]) for p in polynomial.tolist()]
        if lattice.size:
            down, across = (self._bilinear(w, n) for w, n in ((v, lattice.shape[1]), (u, lattice.shape[2])))
            nodes = self._put(lattice)
            moves = [move + down @ nodes[k] @ across.T for k, move in enumerate(moves)]
        east, north, up = moves
        return g[4] + g[5] * row + north * g[9], g[6] + g[7] * col - east * g[8], up

    def _bilinear(self, place: Tensor, nodes: int) -> Tensor:
        """Weights (places, nodes) of the lattice at positions in -1..1, linear half a node beyond the ends."""
        torch = self._torch
        at = (((place.reshape(-1) + 1.0) * 0.5) * nodes - 0.5).clamp(-0.5, nodes - 0.5)
        weights = torch.zeros((at.numel(), nodes), dtype=torch.float64, device=self._device)
        if nodes == 1:
            return weights + 1.0
        left = torch.floor(at).long().clamp(0, nodes - 2)
        part = (at - left)[:, None]
        weights.scatter_(1, left[:, None], 1.0 - part)
        weights.scatter_(1, left[:, None] + 1, part)
        return weights

    def _members(self, places: Array, edges: Array) -> Tensor:
        """Membership matrix: one where a position (column) is in a block (row), else zero, float64."""
        block = np.searchsorted(edges, places, side="right") - 1
        return self._put((block[None, :] == np.arange(edges.size - 1)[:, None]).astype(float))


def _taps(flat: Tensor, start: Tensor, width: int) -> tuple[Tensor, list[list[Tensor]]]:
    """The base height of each position, and its sixteen taps minus that."""
    base = flat[start + width + 1]
    return base, [[flat[start + i * width + j] - base for j in range(4)] for i in range(4)]


def _weights(table: tuple[tuple[float, ...], ...], t: Tensor) -> list[Tensor]:
    """Four weights at fractions of a pixel."""
    return [a + t * (b + t * (c + t * d)) for a, b, c, d in table]


def _derivatives(table: tuple[tuple[float, ...], ...], t: Tensor) -> list[Tensor]:
    """Derivatives of the kernel's weights."""
    return [b + t * (2.0 * c + t * (3.0 * d)) for _, b, c, d in table]


def _tensor(taps: list[list[Tensor]], by_row: list[Tensor], by_col: list[Tensor]) -> Tensor:
    """Sixteen taps under the product of row and column weights."""
    total = 0.0
    for line, weight in zip(taps, by_row, strict=True):
        total = total + weight * sum(tap * w for tap, w in zip(line, by_col, strict=True))
    return total


def _beyond(torch: Any, values: Tensor, width: int, *, rows: bool = True) -> Tensor:
    """A raster grown by `width` columns, and rows, on both sides by odd reflection, which keeps slopes."""
    last = values.shape[1] - 1
    near = torch.arange(width, 0, -1, device=values.device).clamp(max=last)
    left = 2.0 * values[:, :1] - values[:, near]
    right = 2.0 * values[:, -1:] - values[:, last - near.flip(0)]
    grown = torch.cat([left, values, right], dim=1)
    return _beyond(torch, grown.T, width, rows=False).T if rows else grown
