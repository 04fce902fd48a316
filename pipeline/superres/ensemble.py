"""Mean of several networks as a resolver, which is more accurate than each network.

A rotation-equivariant network already includes the mean over the square's symmetries; an ensemble adds a network that
was trained differently. `ensemble_with` in index.yaml names each network's partner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.inference import NetResolver


class Ensemble:
    """The mean of networks for one factor; see `orograph.pipeline.superres.resolvers.Resolver`.

    Args:
        name: Name of the ensemble.
        networks: Two or more networks of one factor.
    """

    def __init__(self, name: str, networks: Sequence[NetResolver]) -> None:
        self._name, self.networks = name, tuple(networks)
        self.factor = self.networks[0].factor

    @property
    def name(self) -> str:
        """Name in tables and manifests."""
        return self._name

    @property
    def sha256(self) -> str:
        """SHA-256 of the networks' weights, joined by a plus."""
        return "+".join(network.sha256 for network in self.networks)

    @property
    def has_gate(self) -> bool:
        """Whether any network has an active significance gate."""
        return any(network.has_gate for network in self.networks)

    @property
    def halo_px(self) -> int:
        """Context in coarse pixels: the largest of the networks'."""
        return max(network.halo_px for network in self.networks)

    def wide_ratio(self, thinning: Thinning) -> float:
        """Half-width of the 95 % band over that of the 68 % band."""
        return float(np.mean([network.wide_ratio(thinning) for network in self.networks]))

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = 3,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, FloatArray | None]:
        """Super-resolve; heights and half-widths of the 68 % band are means over the networks."""
        answers = [
            network(heights_m, factor=factor, thinning=thinning, pixel_size_m=pixel_size_m, origin_px=origin_px)
            for network in self.networks
        ]
        sigmas = [sigma for _, sigma in answers if sigma is not None]
        return _mean([heights for heights, _ in answers]), _mean(sigmas) if len(sigmas) == len(answers) else None


def _mean(planes: Sequence[FloatArray]) -> FloatArray:
    """In float64, so that networks that agree keep their height to the last bit."""
    return np.asarray(np.mean(planes, axis=0, dtype=np.float64), np.float32)
