"""Trained bare-earth model: predicts heights above the terrain and their spread from a DSM; and its file format."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch

from orograph.pipeline.bare_earth.device_features import features_on
from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.network import STRIDE, SurfaceNet, SurfaceSpec, features
from orograph.pipeline.bare_earth.ordinal_head import Decoding, OrdinalHead
from orograph.pipeline.core.bundled_weights import BUNDLED, bundled_index
from orograph.pipeline.core.model_file import description_of, read_described
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, autocast, checked_precision, used_precision
from orograph.pipeline.core.torch_device import device_memory, torch_device
from orograph.pipeline.core.weights_uri import Read, is_content, parted
from orograph.pipeline.errors import ConfigError, ForeignModel, HeightsNotFinite

_LOG = logging.getLogger(__name__)
FORMAT: Final = "orograph-bare-earth"
VERSION: Final = 1
_BLOCK_PX: Final = 512


@dataclass(frozen=True, slots=True, eq=False)
class AboveGround:
    """Predictions of the model for each pixel, float32 arrays.

    Attributes:
        height_m: Expected height above the terrain, metres.
        spread_m: Standard deviation of that height, metres.
        covered: Probability that an object higher than the threshold stands there.
    """

    height_m: np.ndarray
    spread_m: np.ndarray
    covered: np.ndarray


@dataclass(frozen=True, slots=True)
class Operating:
    """Thresholds and spread factor of a model, chosen on held-out terrain.

    Attributes:
        probability: An object stands where P(height above the terrain > 2 m) exceeds this.
        mapped_probability: The same, with a land-cover map.
        spread_factor: Factor from the network's spread to the error of the DTM; planes fitted to many pixels have a
            smaller error than a single pixel.
    """

    probability: float = 0.5
    mapped_probability: float = 0.5
    spread_factor: float = 1.0

    def __post_init__(self) -> None:
        for probability in (self.probability, self.mapped_probability):
            if not 0 < probability < 1:
                raise ConfigError(f"probability {probability} is not between 0 and 1")
        if not self.spread_factor > 0:
            raise ConfigError(f"spread factor {self.spread_factor} is not positive")


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceModel:
    """A trained network with the definition of its inputs and outputs.

    Attributes:
        network: The network, in evaluation mode.
        spec: Its inputs.
        bins: Its height classes.
        name: Registry name.
        sha256: Digest of its file; empty for a model that was not read from a file.
        operating: Thresholds, and the factor of the spread.
        device: Torch device of the network, by name.
        precision: Of the network's convolutions; float32 where the device does not convolve in it.
    """

    network: SurfaceNet
    spec: SurfaceSpec
    bins: Bins
    name: str
    sha256: str = ""
    operating: Operating = Operating()
    device: str = "cpu"
    precision: Precision = DEFAULT_PRECISION

    def above_ground(
        self,
        dsm_m: np.ndarray,
        pixel_size_m: float,
        threshold_m: float = 2.0,
        origin_px: tuple[int, int] = (0, 0),
        shares: np.ndarray | None = None,
    ) -> AboveGround:
        """Predict heights above the terrain of a DSM without voids.

        Works block by block with the network's own halo. The network halves its grid three times, so blocks are aligned
        to the lattice of every eighth pixel; with `origin_px` and a halo, windows of one DSM agree.

        Args:
            dsm_m: (rows, columns), metres, finite.
            pixel_size_m: Size of a pixel, metres.
            threshold_m: Height that `covered` refers to.
            origin_px: Row and column of `dsm_m[0, 0]` on the DSM's own global lattice.
            shares: (2, rows, columns), share of trees and of buildings, 0 to 1, by a land-cover map; NaN is unknown.

        Raises:
            ConfigError: shares for a model that does not use them, or of another shape, or a pixel size that the model
                was not trained for.
            HeightsNotFinite: a void or infinite height.
        """
        self.check_pixel_size(pixel_size_m)
        if not np.isfinite(dsm_m).all():
            raise HeightsNotFinite("the DSM has voids", remedy="fill them first and mask the result")
        if shares is not None and (not self.spec.cover or shares.shape != (2, *dsm_m.shape)):
            raise ConfigError(
                f"bare-earth model {self.name} cannot use land cover of {shares.shape} for {dsm_m.shape}",
                remedy="give two planes on the DSM's own pixels to a model trained with land cover",
            )
        halo = self.spec.halo_px
        before = tuple(origin % STRIDE for origin in origin_px)
        after = tuple(-(size + start) % STRIDE for size, start in zip(dsm_m.shape, before, strict=True))
        pads = [(halo + start, halo + end) for start, end in zip(before, after, strict=True)]
        padded = np.pad(np.asarray(dsm_m, dtype=np.float32), pads, mode="edge")
        mapped = None if shares is None else np.pad(shares.astype(np.float32), [(0, 0), *pads], mode="edge")
        rows, cols = (size - 2 * halo for size in padded.shape)
        planes = np.empty((3, rows, cols), dtype=np.float32)
        for row in range(0, rows, _BLOCK_PX):
            for col in range(0, cols, _BLOCK_PX):
                height, width = min(_BLOCK_PX, rows - row), min(_BLOCK_PX, cols - col)
                seen = (slice(row, row + height + 2 * halo), slice(col, col + width + 2 * halo))
                cover = None if mapped is None else mapped[(slice(None), *seen)]
                with device_memory(self.device, f"one block of {self.name}"):
                    inputs = self._inputs(padded[seen], pixel_size_m, cover)
                    planes[:, row : row + height, col : col + width] = self._block(inputs, threshold_m)
        cut = (slice(before[0], before[0] + dsm_m.shape[0]), slice(before[1], before[1] + dsm_m.shape[1]))
        return AboveGround(*(np.ascontiguousarray(plane[cut]) for plane in planes))

    def on(self, device: str, precision: Precision = DEFAULT_PRECISION) -> Self:
        """Return the model on a torch device, with the precision of its convolutions.

        Raises:
            ConfigError: The device is not available, or no such precision.
        """
        if (used := used_precision(checked_precision(precision), device)) != precision:
            _LOG.warning("%s does not convolve in %s: %s runs in %s", device, precision, self.name, used)
        if device == self.device:
            return replace(self, precision=precision)
        place = torch_device(device)
        network = copy.deepcopy(self.network).to(place)
        # torch declares no memory format for whole modules.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return replace(self, network=network, device=device, precision=precision)

    def _inputs(self, surface_m: np.ndarray, pixel_size_m: float, shares: np.ndarray | None) -> torch.Tensor:
        """Inputs of the network for a block, (1, channels, rows, columns), on the model's device.

        On the processor scipy's running minima are faster than pooling; elsewhere heights cross once, not their
        features.
        """
        if self.device == "cpu":
            return torch.from_numpy(features(surface_m, pixel_size_m, self.spec, shares)[None])
        return features_on(self.device, surface_m, pixel_size_m, self.spec, shares)[None]

    def _block(self, inputs: torch.Tensor, threshold_m: float) -> np.ndarray:
        """Height, spread and cover of the inside of a block with halo; its sides are multiples of 8."""
        head, halo = OrdinalHead(self.bins), self.spec.halo_px
        with torch.inference_mode():
            with autocast(self.precision, self.device):
                outputs = self.network(inputs)
            outputs = outputs[..., halo:-halo, halo:-halo].float()
            estimate = head.decode(outputs, Decoding.EXPECTATION)
            planes = (estimate.height_m, estimate.spread_m, head.exceeding(outputs, threshold_m))
            return torch.cat(planes).cpu().numpy()

    def check_pixel_size(self, pixel_size_m: float) -> None:
        """Reject pixel sizes that the model was not trained for.

        Raises:
            ConfigError: too small or too large.
        """
        low, high = self.spec.pixel_size_m
        if not low <= pixel_size_m <= high:
            raise ConfigError(
                f"bare-earth model {self.name} works at {low:g} to {high:g} m, not at {pixel_size_m:g} m",
                remedy="resample the DSM, or use another model",
            )

    def save(self, path: Path, card: dict[str, str] | None = None) -> int:
        """Write the weights in half precision with their description; return the size in bytes."""
        from safetensors.torch import save

        document = {
            "version": VERSION,
            "name": self.name,
            "spec": self.spec.to_dict(),
            "bins": self.bins.to_dict(),
            "card": card or {},
            "operating": asdict(self.operating),
        }
        weights = {name: tensor.detach().half().contiguous() for name, tensor in self.network.state_dict().items()}
        data = save(weights, metadata={FORMAT: json.dumps(document, sort_keys=True)})
        path.write_bytes(data)
        return len(data)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a weights file.

        Raises:
            SourceMissing: the file does not exist.
            ForeignModel: it is not a bare-earth model, of another version, or damaged.
        """
        document, arrays = read_described(path, FORMAT, "a bare-earth model", VERSION)
        with description_of(path):
            spec, bins = SurfaceSpec.from_dict(document["spec"]), Bins.from_dict(document["bins"])
            operating = Operating(**document.get("operating", {}))
            network = SurfaceNet(spec, OrdinalHead(bins).channels)
            network.load_state_dict({name: torch.from_numpy(array).float() for name, array in arrays.items()})
            name = str(document["name"])
        network.eval()
        return cls(network, spec, bins, name, hashlib.sha256(path.read_bytes()).hexdigest(), operating)


def bare_earth_names() -> tuple[str, ...]:
    """Names of the bundled models."""
    return tuple(sorted(bundled_index("bare-earth")))


def load_bare_earth(name: str, fetch: Read | None = None) -> SurfaceModel:
    """Return a model by registry name, path of a weights file, or sha256 (read by `fetch`).

    Raises:
        ConfigError: no model has that name.
        ForeignModel: the file is not a bare-earth model, or its digest differs from the expected one.
    """
    href, expected = parted(name)
    entry = bundled_index("bare-earth").get(name)
    if entry is not None:
        model = SurfaceModel.load(BUNDLED / entry["file"])
        if model.sha256 != entry["sha256"]:
            raise ForeignModel(
                f"{entry['file']} has sha256 {model.sha256}, expected {entry['sha256']}", remedy="install it again"
            )
        return model
    if is_content(href) and fetch is not None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            path.write_bytes(fetch(href))
            return _checked(SurfaceModel.load(path), href, expected)
    if not Path(href).is_file():
        known = ", ".join(bare_earth_names()) or "none"
        raise ConfigError(f"no bare-earth model is called {name!r}", remedy=f"use one of: {known}")
    return _checked(SurfaceModel.load(Path(href)), href, expected)


def _checked(model: SurfaceModel, href: str, expected: str | None) -> SurfaceModel:
    if expected is not None and model.sha256 != expected:
        raise ForeignModel(
            f"{href} has sha256 {model.sha256}, expected {expected}", remedy="run planning again with the current file"
        )
    return model
