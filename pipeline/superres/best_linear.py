"""Best linear filter as a resolver: a least-squares fit on coarse neighbourhoods, one filter per fine pixel.

It is the baseline for networks: a network must beat it to justify its cost. Filters for x3 are
bundled; for other factors they are fitted on a DTM of the user.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save_file

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError, ModelError
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.edge_padding import context_px, mask_fine, with_context

FORMAT: Final = "orograph-linear-1"
NAME: Final = "best-linear"
BUNDLED: Final = Path(__file__).parents[1] / "weights" / "best-linear-x3.safetensors"
BUNDLED_SHA256: Final = "9159c45066facf6c50a4ab100cb2af45ad854a49ff6a2a6f8c23f2309c5ffec6"
_SEED: Final = 977

Kernels = npt.NDArray[np.float64]


@compiled
def _filtered(heights: Kernels, kernels: Kernels, factor: int, fine: FloatArray) -> None:
    """Apply one filter per phase, in float64 and one order of summation: every tiling gives the same bits."""
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
    """Fitted filters as a resolver, without error estimates.

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
            ModelError: The digest differs from the given one, or the file contains no such filters.
        """
        content = path.read_bytes()
        if sha256 is not None and (digest := hashlib.sha256(content).hexdigest()) != sha256:
            raise ModelError(f"{path} has sha256 {digest}, expected {sha256}", remedy="install the package again")
        try:
            about = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
            tensors = dict(deserialize(content))  # type: ignore[no-untyped-call]
        except (SafetensorError, ValueError, KeyError) as error:
            raise ModelError(f"{path} does not contain linear filters: {error}") from error
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
        """Filter; see `Resolver`. Pixel size and origin have no effect.

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


def bundled_linear() -> LinearFilter:
    """Return the bundled filters for x3; `best-linear-x3.md` next to them describes the training data."""
    return LinearFilter.read(BUNDLED, BUNDLED_SHA256)
