"""OpenDEM's VDSR4DEM with its own published x3 weights, with the normalisation of its training.

Ten 9 x 9 convolutions of 32 channels with bias and ReLU, and an eleventh to one channel, correct GDAL's cubic. The
published notebook tests with heights normalised image by image although training normalised the whole data set
(170 m to 3150 m); with the training's normalisation the weights do better, so that is used here. Source:
https://github.com/OpenDEM/VDSR4DEM, MIT.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError, ModelError, SourceMissing
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.edge_padding import context_px, mask_fine, with_context
from orograph.pipeline.superres.interpolants import Interpolant

OFFSET_M: Final = 170.0
RANGE_M: Final = 2980.0
_LAYERS: Final = 11
_REACH_PX: Final = 15
"""Coarse pixels: eleven layers of radius four on the fine grid."""


class OpenDemVdsr:
    """The published network as a resolver, x3 only; without thinning mode or error estimate.

    Args:
        layers: Kernels (out, in, 9, 9) and biases in order.
        ensemble: Mean over the square's eight symmetries.
    """

    factor: Final = 3

    def __init__(self, layers: list[tuple[Tensor, Tensor]], ensemble: bool = False) -> None:
        if len(layers) != _LAYERS:
            raise ModelError(f"{len(layers)} convolutions, expected {_LAYERS}")
        self.layers, self.ensemble = layers, ensemble

    @classmethod
    def read(cls, path: Path, ensemble: bool = False) -> Self:
        """Read the Keras file; needs the `bench` extra (h5py).

        Raises:
            SourceMissing: The file does not exist.
            ConfigError: h5py is not installed.
            ModelError: It is not an HDF5 file, or contains other layers.
        """
        if not path.exists():
            raise SourceMissing(f"no weights at {path}", source=str(path))
        try:
            import h5py
        except ImportError as error:
            raise ConfigError("OpenDEM's weights are HDF5", remedy="install orograph[bench]") from error
        kernels: dict[str, np.ndarray] = {}
        try:
            with h5py.File(path) as file:
                file.visititems(
                    lambda name, item: kernels.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
                )
        except OSError as error:
            raise ModelError(f"{path} is not an HDF5 file: {error}", remedy="expected is opendem_vdsr_x3.h5") from error
        convolutions = sorted(
            {name.rsplit("/", 1)[0] for name, value in kernels.items() if value.ndim == 4}, key=_layer_number
        )
        layers = []
        for name in convolutions:
            kernel = next(v for k, v in kernels.items() if k.startswith(name + "/") and v.ndim == 4)
            bias = next(v for k, v in kernels.items() if k.startswith(name + "/") and v.ndim == 1)
            layers.append((torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()), torch.from_numpy(bias.copy())))
        return cls(layers, ensemble)

    @property
    def name(self) -> str:
        """Name in tables."""
        return "opendem-vdsr"

    @property
    def halo_px(self) -> int:
        """Context in coarse pixels."""
        return context_px(_REACH_PX)

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = 3,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, None]:
        """Super-resolve by three; see `Resolver`.

        Raises:
            ConfigError: Another factor than three.
        """
        del thinning, pixel_size_m, origin_px
        if factor != self.factor:
            raise ConfigError(f"OpenDEM's weights are for x3, not x{factor}")
        context, valid = with_context(heights_m, _REACH_PX)
        cubic, _ = Interpolant("gdal-cubic")(context.astype(np.float32), factor=factor)
        x = torch.from_numpy((cubic - OFFSET_M) / RANGE_M)[None, None]
        with torch.inference_mode():
            total = sum(
                torch.rot90(_mirrored(self._network(_mirrored(torch.rot90(x, t, (2, 3)), m)), m), -t, (2, 3))
                for t in range(4 if self.ensemble else 1)
                for m in ((False, True) if self.ensemble else (False,))
            )
        fine = total[0, 0].numpy() / (8.0 if self.ensemble else 1.0) * RANGE_M + OFFSET_M  # type: ignore[index]
        rim = _REACH_PX * factor
        return mask_fine(np.ascontiguousarray(fine[rim:-rim, rim:-rim], dtype=np.float32), valid, factor), None

    def _network(self, x: Tensor) -> Tensor:
        y = x
        for k, (kernel, bias) in enumerate(self.layers):
            y = F.conv2d(y, kernel, bias, padding=4)
            if k < _LAYERS - 1:
                y = F.relu(y)
        return x + y


def _mirrored(x: Tensor, mirrored: bool) -> Tensor:
    return x.flip(3) if mirrored else x


def _layer_number(name: str) -> int:
    digits = name.rsplit("_", 1)[-1].split("/", maxsplit=1)[0]
    return int(digits) if digits.isdigit() else 0
