"""The best linear filter as a resolver: what least squares makes of coarse neighbourhoods, one filter a fine pixel.

It is the honest yardstick of a network: what it does not beat is no more than linear. Filters for x3 ship with the
package; for other factors they are fitted on ground given for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from numba import njit
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save_file

from pipeline.errors import ConfigError, ModelError
from pipeline.models.superres.base import LinearFit
from pipeline.models.superres.dataset import Mix, Sampler
from pipeline.models.voids import context_px, mask_fine, with_context
from pipeline.raster import FloatArray
from pipeline.sources import Thinning

FORMAT: Final = "orograph-linear-1"
NAME: Final = "best-linear"
SHIPPED: Final = Path(__file__).parents[1] / "weights" / "best-linear-x3.safetensors"
SHIPPED_SHA256: Final = "9159c45066facf6c50a4ab100cb2af45ad854a49ff6a2a6f8c23f2309c5ffec6"
_SEED: Final = 977

Kernels = npt.NDArray[np.float64]


@njit(cache=True, nogil=True)
def _filtered(heights: Kernels, kernels: Kernels, factor: int, fine: FloatArray) -> None:
    """One filter a phase, in float64 and one order of summation: every tiling gives the same bits."""
    taps = kernels.shape[1]
    rows = heights.shape[0] - taps + 1
    columns = heights.shape[1] - taps + 1
    for row in range(rows):
        for column in range(columns):
            for p in range(factor):
                for q in range(factor):
                    total = 0.0
                    kernel = kernels[p * factor + q]
                    for i in range(taps):
                        for j in range(taps):
                            total += kernel[i, j] * heights[row + i, column + j]
                    fine[row * factor + p, column * factor + q] = total


@dataclass(frozen=True, slots=True, eq=False)
class LinearFilter:
    """Fitted filters as a resolver; it states no error.

    Attributes:
        factor: Fine pixels along a coarse pixel's side.
        kernels: By thinning mode, float64, shape (factor**2, taps, taps), each summing to one.
    """

    factor: int
    kernels: Mapping[Thinning, Kernels]

    @classmethod
    def read(cls, path: Path, sha256: str | None = None) -> Self:
        """Filters from a file.

        Raises:
            ModelError: Another digest than the one given, or no such filters.
        """
        content = path.read_bytes()
        if sha256 is not None and (digest := hashlib.sha256(content).hexdigest()) != sha256:
            raise ModelError(f"{path} has sha256 {digest}, expected {sha256}", remedy="install the package again")
        try:
            about = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
            tensors = dict(deserialize(content))  # type: ignore[no-untyped-call]
        except (SafetensorError, ValueError, KeyError) as error:
            raise ModelError(f"{path} holds no linear filters: {error}") from error
        if about.get("format") != FORMAT:
            raise ModelError(f"{path} is of format {about.get('format')!r}, expected {FORMAT}")
        kernels = {
            Thinning(mode): np.frombuffer(tensor["data"], np.float64).reshape(tensor["shape"])
            for mode, tensor in tensors.items()
        }
        return cls(int(about["factor"]), kernels)

    def write(self, path: Path, about: Mapping[str, Any]) -> str:
        """Write the filters with their provenance; returns the file's sha256."""
        meta = {"format": FORMAT, "factor": str(self.factor), "about": json.dumps(about)}
        save_file({mode.value: np.ascontiguousarray(k) for mode, k in self.kernels.items()}, path, meta)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    @property
    def name(self) -> str:
        """Name in tables."""
        return NAME

    @property
    def radius_px(self) -> int:
        """Radius of the filters in coarse pixels."""
        return next(iter(self.kernels.values())).shape[1] // 2

    @property
    def halo_px(self) -> int:
        """Context in coarse pixels."""
        return context_px(self.radius_px)

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = 3,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, None]:
        """Filter; see `Resolver`. Pixel size and origin change nothing.

        Raises:
            ConfigError: The filters are for another factor or were not fitted for that thinning mode.
        """
        del pixel_size_m, origin_px
        if factor != self.factor or thinning not in self.kernels:
            raise ConfigError(
                f"these linear filters are for x{self.factor} {' and '.join(self.kernels)}, not x{factor} {thinning}",
                remedy="fit others: orograph evaluate --fit-on DTM, or orograph train --preset linear --factor N",
            )
        context, valid = with_context(heights_m, self.radius_px)
        fine = np.empty((heights_m.shape[0] * factor, heights_m.shape[1] * factor), np.float32)
        _filtered(context, np.ascontiguousarray(self.kernels[thinning]), factor, fine)
        return mask_fine(fine, valid, factor), None


def shipped_linear() -> LinearFilter:
    """The filters for x3 in the package; `best-linear-x3.md` beside them says what they were fitted on."""
    return LinearFilter.read(SHIPPED, SHIPPED_SHA256)


def accumulated(sampler: Sampler, thinning: Thinning, draws: int = 400) -> LinearFit:
    """The normal equations over noise-free patches with square pixels and no void, of a sampler's sites."""
    mix = Mix(averaged=float(thinning is Thinning.AVERAGED), noisy=0.0, wide=0.0)
    clean = Sampler(sampler.sites, sampler.factor, sampler.patch_px, sampler.batch, mix, _SEED)
    fit = LinearFit(sampler.factor)
    for step in range(draws):
        batch = clean.draw(step)
        if batch.condition.log_aspect != 0.0:
            continue
        for coarse, fine, valid in zip(batch.coarse[:, 0], batch.fine[:, 0], batch.valid[:, 0], strict=True):
            if valid.all():
                fit.add(coarse, fine)
    return fit


def modes_of(factor: int) -> tuple[Thinning, ...]:
    """Thinning modes that make sense at a factor: decimation by an even one shifts the grid."""
    return tuple(mode for mode in Thinning if factor % 2 or mode is Thinning.AVERAGED)


def fit_linear(sampler: Sampler, draws: int = 400) -> LinearFilter:
    """The best linear filters on a sampler's sites, for every mode the factor allows."""
    return LinearFilter(
        sampler.factor,
        {mode: accumulated(sampler, mode, draws).kernels(mode) for mode in modes_of(sampler.factor)},
    )


def fit_on_pairs(pairs: Iterable[tuple[FloatArray, FloatArray]], factor: int, thinning: Thinning) -> LinearFilter:
    """The best linear filter on pairs of coarse and fine heights; voids take no part.

    Raises:
        ConfigError: Every neighbourhood holds a void, so there is nothing to fit on.
    """
    fit = LinearFit(factor)
    for coarse, fine in pairs:
        fit.add(coarse, fine)
    if fit.empty:
        raise ConfigError("no neighbourhood without a void to fit the linear filter on", remedy="give larger DTMs")
    return LinearFilter(factor, {thinning: fit.kernels(thinning)})
