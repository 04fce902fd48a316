"""A sensor's filter with a network's correction, as a resolver; any tiling gives the same bits.

The network runs on blocks of a global lattice, so that convolutions have one shape wherever a window begins. Voids and
pixels beyond the array are zero in its input. Next to them the correction fades out: the network was trained inside terrain.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from scipy.ndimage import correlate1d, minimum_filter

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, checked_precision
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.core.torch_device import device_memory, torch_device
from orograph.pipeline.errors import ConfigError, ModelError
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.sensor import NET_RESOLVER, SensorModel
from orograph.pipeline.superres.edge_padding import mask_fine
from orograph.pipeline.superres.sensor.net_inputs import NetInputs, on_fine_grid
from orograph.pipeline.superres.sensor.net_range import FACTOR, not_trained
from orograph.pipeline.superres.sensor.network import SensorNet, SensorNetShape
from orograph.pipeline.superres.sensor.resolver import Measured, SensorFilter
from orograph.pipeline.superres.weights import Weights, bundled_weights

KIND: Final = "sensor-net"
FORMAT: Final = "orograph-sensor-net-1"
BLOCK_PX: Final = 120
_FADE_PX: Final = 2
"""Twice this distance from voids and borders the correction is whole; at half of it, none."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SensorNetOptions:
    """Options for running the network.

    Attributes:
        precision: Precision of the convolutions; the filter and the output are exact in either.
        device: Torch device; CUDA runs deterministic algorithms.
    """

    precision: Precision = DEFAULT_PRECISION
    device: str = "cpu"

    def __post_init__(self) -> None:
        checked_precision(self.precision)


class SensorNetResolver:
    """The filter of a sensor with a network's correction; see `orograph.pipeline.superres.resolvers.Resolver`.

    Args:
        sensor: The source's sensor model.
        weights: Trained tensors; None for the bundled ones.
        options: Device and precision.

    Raises:
        ConfigError: No sensor model is given, or the device is not available.
        ModelError: The weights are damaged.
    """

    def __init__(
        self,
        sensor: SensorModel | None,
        weights: Weights | None = None,
        options: SensorNetOptions | None = None,
    ) -> None:
        if sensor is None:
            raise ConfigError(
                f"{NET_RESOLVER} needs a sensor model", remedy="give one (--sensor srtm), or use sensor without one"
            )
        self.sensor, self.filter = sensor, SensorFilter(sensor)
        self.options = options or SensorNetOptions()
        self.weights = weights or bundled_weights(NET_RESOLVER, KIND, FORMAT)
        network: dict[str, Any] = self.weights.plan["network"]
        self._net = SensorNet(SensorNetShape(int(network["channels"]), tuple(network["dilations"])))
        self._net.load_state_dict({k: v.float() for k, v in self.weights.tensors.items()}, strict=True)
        self._net.requires_grad_(False)
        self._net.to(torch_device(self.options.device))
        self._share = float(self.weights.plan["share"])
        self._noted = False

    @property
    def name(self) -> str:
        """Name it is registered under."""
        return NET_RESOLVER

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights."""
        return self.weights.sha256

    @property
    def radius_px(self) -> int:
        """Receptive radius of the network in coarse pixels, on top of the filter's."""
        return self._net.shape.radius_px

    @property
    def halo_px(self) -> int:
        """Context in coarse pixels: that of the filter, and the network's radius or the fading at voids."""
        return self.filter.halo_px + max(self.radius_px, 2 * _FADE_PX)

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = FACTOR,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, FloatArray]:
        """Filter and correct; see `Resolver`. The standard error is the filter's.

        Outside of the range of the training, the filter's heights are returned.

        Raises:
            ModelError: The network gave NaN or infinity.
            OutOfMemory: A block does not fit the device's memory.
        """
        outside = not_trained(self.sensor, factor, pixel_size_m)
        if outside is not None:
            if not self._noted:
                _LOG.warning("%s was not trained for %s: the filter alone is used", self.name, outside)
                self._noted = True
            return self.filter(
                heights_m, factor=factor, thinning=thinning, pixel_size_m=pixel_size_m, origin_px=origin_px
            )
        measured = Measured.of(heights_m, self.sensor, factor, pixel_size_m, origin_px)
        fine, sigma = measured.stated()
        inputs = NetInputs.of(measured)
        weight = (_fading(measured.valid) * inputs.error_m * self._share).astype(np.float32)
        with torch.inference_mode(), device_memory(self.options.device, f"a block of {self.name}"):
            for rows, columns, correction in self._corrections(inputs, origin_px):
                place = (rows, columns)
                wide = tuple(slice(part.start * FACTOR, part.stop * FACTOR) for part in place)
                fine[wide] += on_fine_grid(correction * weight[place])
        return mask_fine(fine, measured.valid, factor), sigma

    def _corrections(self, inputs: NetInputs, origin_px: tuple[int, int]) -> Iterator[tuple[slice, slice, FloatArray]]:
        """Yield a block's rows and columns in the array, and its correction by phase in units of the error."""
        valid, r = inputs.measured.valid, self.radius_px
        side = BLOCK_PX + 2 * r
        for top in range(-(origin_px[0] % BLOCK_PX), valid.shape[0], BLOCK_PX):
            for left in range(-(origin_px[1] % BLOCK_PX), valid.shape[1], BLOCK_PX):
                rows = slice(max(0, top), min(valid.shape[0], top + BLOCK_PX))
                columns = slice(max(0, left), min(valid.shape[1], left + BLOCK_PX))
                if not valid[rows, columns].any():
                    continue
                seen = (
                    slice(max(0, top - r), min(valid.shape[0], top + BLOCK_PX + r)),
                    slice(max(0, left - r), min(valid.shape[1], left + BLOCK_PX + r)),
                )
                planes = inputs.planes(*seen)
                window = np.zeros((1, planes.shape[0], side, side), np.float32)
                row, column = seen[0].start - top + r, seen[1].start - left + r
                window[0, :, row : row + planes.shape[1], column : column + planes.shape[2]] = planes
                there = torch.from_numpy(window).to(self.options.device)
                correction = self._net(there, self.options.precision)[0].cpu().numpy()
                part = correction[:, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
                if not np.isfinite(part).all():
                    raise ModelError(
                        f"{self.name} gave heights that are not finite",
                        remedy="check the source's values, or use sensor",
                    )
                yield rows, columns, part


def _fading(valid: BoolArray) -> FloatArray:
    """Share of the correction by coarse pixel: zero next to voids and borders, one inside terrain."""
    inside = minimum_filter(valid.astype(np.float64), size=2 * _FADE_PX + 1, mode="constant", cval=0.0)
    taps = np.full(2 * _FADE_PX + 1, 1.0 / (2 * _FADE_PX + 1))
    rows = correlate1d(inside, taps, axis=0, mode="constant")
    return np.asarray(correlate1d(rows, taps, axis=1, mode="constant") * inside)
