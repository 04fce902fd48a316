"""Linear bases of the network: Keys' six-tap interpolant, and the best linear filter fitted to data."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.errors import NoTrainingPixels
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.interpolants import BASE_RADIUS_PX, interpolant_kernels


def windows(coarse: npt.NDArray[np.float64], radius_px: int) -> npt.NDArray[np.float64]:
    """Neighbourhoods of inner pixels, shape (rows - 2 radius, columns - 2 radius, kernel, kernel); a view."""
    size = 2 * radius_px + 1
    return np.lib.stride_tricks.sliding_window_view(coarse, (size, size))


class LinearFit:
    """Least squares of fine heights on coarse neighbourhoods, accumulated over rasters, one filter per phase.

    Heights are taken relative to the central coarse pixel, so the filters sum to one by construction. The eight
    symmetries of the square are imposed on the normal equations, as if every raster had been given in all eight.
    """

    def __init__(self, factor: int, radius_px: int = BASE_RADIUS_PX) -> None:
        self.factor, self.radius_px = factor, radius_px
        taps = (2 * radius_px + 1) ** 2
        self._gram = np.zeros((taps, taps))
        self._cross = np.zeros((taps, factor * factor))

    @property
    def empty(self) -> bool:
        """True before the first sample."""
        return not self._gram.any()

    def add(self, coarse: FloatArray, fine: FloatArray, valid: BoolArray | None = None) -> None:
        """Accumulate one raster pair; coarse (rows, columns), fine (rows * factor, columns * factor), metres.

        Each pair is weighted by the inverse variance of its local relief, so that steep sites do not drown others.
        """
        r, f = self.radius_px, self.factor
        centre = coarse[r:-r, r:-r].astype(np.float64)
        design = (windows(coarse.astype(np.float64), r) - centre[..., None, None]).reshape(centre.size, -1)
        rows, columns = coarse.shape
        phases = fine.astype(np.float64).reshape(rows, f, columns, f).transpose(0, 2, 1, 3)[r:-r, r:-r]
        target = (phases - centre[..., None, None]).reshape(centre.size, f * f)
        good = np.isfinite(design).all(axis=1) & np.isfinite(target).all(axis=1)
        if valid is not None:
            good &= valid[r:-r, r:-r].ravel()
        if not good.any():
            return
        design, target = design[good], target[good]
        weight = good.sum() / max(float(np.square(target).sum()), 1e-9)
        self._gram += weight * (design.T @ design)
        self._cross += weight * (design.T @ target)

    def kernels(self, thinning: Thinning, ridge: float = 1e-7) -> npt.NDArray[np.float64]:
        """The fitted kernels, shape (factor**2, kernel, kernel), made consistent with the mode.

        The fit estimates the departure from Keys' kernels, so the ridge penalty pulls towards an interpolant, not to
        zero. Decimated by an odd factor: the central phase is the sample. Averaged: the mean over phases is the sample.

        Raises:
            NoTrainingPixels: No pair was added that has relief.
        """
        if self.empty:
            raise NoTrainingPixels(
                "no pixel to fit a linear filter on: rasters are flat, or have voids near every pixel",
                remedy="give larger rasters with fewer voids",
            )
        f, size = self.factor, 2 * self.radius_px + 1
        taps, phases = _symmetries(size), _symmetries(f)
        plain = np.mean([self._gram[np.ix_(t, t)] for t in taps], axis=0)
        cross = np.mean([self._cross[np.ix_(t, p)] for t, p in zip(taps, phases, strict=True)], axis=0)
        gram = plain + ridge * np.trace(plain) / len(plain) * np.eye(len(plain))
        centre = self.radius_px
        start = interpolant_kernels("keys6" if centre >= 3 else "gdal-cubic", f, centre).reshape(f * f, -1).T.copy()
        start[size * size // 2] -= 1.0  # heights are relative to the centre, whose weight follows from the sum
        departure = np.linalg.solve(gram, cross - plain @ start)
        solved = (start + departure).T.reshape(f, f, size, size)
        solved[:, :, centre, centre] += 1.0 - solved.sum(axis=(2, 3))
        delta = np.zeros((size, size))
        delta[centre, centre] = 1.0
        if thinning is Thinning.AVERAGED:
            solved += delta - solved.mean(axis=(0, 1))
        elif f % 2:
            solved[f // 2, f // 2] = delta
        return solved.reshape(f * f, size, size)


def _symmetries(side: int) -> list[npt.NDArray[np.intp]]:
    """Return the source of each cell of a flattened square under the eight symmetries, in one order for every side."""
    cells = np.arange(side * side).reshape(side, side)
    turned = [np.rot90(cells, turns) for turns in range(4)]
    return [image.ravel() for cells in turned for image in (cells, cells.T)]
