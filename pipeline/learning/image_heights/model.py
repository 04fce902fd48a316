"""A trained image-to-height model: patches, seamless maps, evaluation, and its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.ordinal_head import (
    ClassificationHead,
    Decoding,
    HeadKind,
    MseHead,
    OrdinalHead,
    head_of,
)
from orograph.pipeline.core.model_file import description_of, read_described
from orograph.pipeline.core.progress import tracked
from orograph.pipeline.errors import BandMismatch
from orograph.pipeline.learning.image_heights.data import Scene
from orograph.pipeline.learning.image_heights.metrics import HeightMetrics
from orograph.pipeline.learning.image_heights.network import HeightNet, NetworkSpec
from orograph.pipeline.learning.image_heights.stitch import CropLayout, assemble, chain_offsets, global_offsets

FORMAT: Final = "orograph-ordinal"
VERSION: Final = 1


class Stitching(StrEnum):
    """Methods to combine patches of relative heights into one map."""

    GLOBAL = "global"
    CHAIN = "chain"


_OFFSETS: Final[dict[Stitching, Callable[..., np.ndarray]]] = {
    Stitching.GLOBAL: global_offsets,
    Stitching.CHAIN: chain_offsets,
}


@dataclass(frozen=True, slots=True, eq=False)
class ImageModel:
    """A network with the description of its inputs and outputs.

    Attributes:
        network: The network, in evaluation mode.
        spec: Size of the network.
        head: Interpretation of its outputs.
        mean, spread: Mean and standard deviation of each band, for normalisation.
        crop_px: Side of the training patches.
    """

    network: HeightNet
    spec: NetworkSpec
    head: OrdinalHead | ClassificationHead | MseHead
    mean: tuple[float, ...]
    spread: tuple[float, ...]
    crop_px: int

    def patch(self, image: np.ndarray, decoding: Decoding = Decoding.MIDDLE) -> tuple[np.ndarray, np.ndarray]:
        """Relative heights and their spread (metres, float32) of one patch (bands, rows, columns).

        Raises:
            BandMismatch: the image has another number of bands.
        """
        if image.shape[0] != self.spec.bands:
            raise BandMismatch(f"the image has {image.shape[0]} bands, the model takes {self.spec.bands}")
        mean, spread = (np.array(v, dtype=np.float32)[:, None, None] for v in (self.mean, self.spread))
        with torch.inference_mode():
            outputs = self.network(torch.from_numpy(((image - mean) / spread)[None].astype(np.float32)))
            estimate = self.head.decode(outputs, decoding)
        return estimate.height_m[0].numpy(), estimate.spread_m[0].numpy()

    def patches(self, image: np.ndarray, layout: CropLayout, decoding: Decoding = Decoding.MIDDLE) -> list[np.ndarray]:
        """Relative heights of every patch of a layout."""
        size = layout.patch_px
        return [
            self.patch(image[:, row : row + size, col : col + size], decoding)[0]
            for row, col in tracked(layout.places, "predicting patches")
        ]

    def map(
        self, image: np.ndarray, stitching: Stitching = Stitching.GLOBAL, decoding: Decoding = Decoding.MIDDLE
    ) -> np.ndarray:
        """A seamless map of relative heights of a whole image, float32, metres; its lowest point is 0."""
        layout = CropLayout(image.shape[1], image.shape[2], self.crop_px)
        patches = self.patches(image, layout, decoding)
        heights = assemble(patches, _OFFSETS[stitching](patches, layout), layout)
        return np.asarray(heights - np.nanmin(heights))

    def evaluate(self, scene: Scene, decoding: Decoding = Decoding.MIDDLE) -> HeightMetrics:
        """The paper's error measures over patches of a scene, each relative to its true lowest point."""
        layout = CropLayout(scene.heights_m.shape[0], scene.heights_m.shape[1], self.crop_px)
        predicted = self.patches(scene.image, layout, decoding)
        size = layout.patch_px
        true = []
        for row, col in layout.places:
            part = scene.heights_m[row : row + size, col : col + size]
            low = np.nanmin(part) if np.isfinite(part).any() else 0.0
            true.append(part - low)
        return HeightMetrics.between(np.stack(predicted), np.stack(true))

    def save(self, path: Path) -> int:
        """Write the weights and their description; returns the size in bytes."""
        from safetensors.torch import save

        document = {
            "version": VERSION,
            "network": self.spec.to_dict(),
            "head": str(self.head.kind),
            "bins": self.head.bins.to_dict(),
            "mean": self.mean,
            "spread": self.spread,
            "crop_px": self.crop_px,
        }
        weights = {name: tensor.detach().contiguous() for name, tensor in self.network.state_dict().items()}
        data = save(weights, metadata={FORMAT: json.dumps(document, sort_keys=True)})
        path.write_bytes(data)
        return len(data)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a model file.

        Raises:
            SourceMissing: the file does not exist.
            ForeignModel: it is not such a model, has another version, or is damaged.
        """
        document, weights = read_described(
            path, FORMAT, "an ordinal height model", VERSION, remedy="train one with `orograph ordinal train`"
        )
        with description_of(path):
            spec = NetworkSpec.from_dict(document["network"])
            head = head_of(HeadKind(document["head"]), Bins.from_dict(document["bins"]))
            network = HeightNet(spec, head.channels)
            network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
            mean, spread = tuple(document["mean"]), tuple(document["spread"])
            crop_px = int(document["crop_px"])
        network.eval()
        return cls(network, spec, head, mean, spread, crop_px)
