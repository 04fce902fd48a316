"""The trained bare-earth model: from a surface to heights above ground, their spread, and its file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch

from pipeline.errors import ConfigError, ForeignModel, HeightsNotFinite, SourceMissing
from pipeline.models.ordinal.discretise import Bins
from pipeline.models.ordinal.heads import Decoding, OrdinalHead
from pipeline.models.ordinal.surface import STRIDE, SurfaceNet, SurfaceSpec, features

FORMAT: Final = "orograph-bare-earth"
VERSION: Final = 1
WEIGHTS_DIR: Final = Path(__file__).parent.parent / "weights"
_BLOCK_PX: Final = 512
_PREFIX: Final = "bare-earth-"


@dataclass(frozen=True, slots=True, eq=False)
class AboveGround:
    """What the model says of each pixel, float32 arrays.

    Attributes:
        height_m: Expected height above ground, metres.
        spread_m: Standard deviation of that height, metres.
        covered: Probability that something higher than the threshold stands there.
    """

    height_m: np.ndarray
    spread_m: np.ndarray
    covered: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceModel:
    """A network with the meaning of its inputs and outputs.

    Attributes:
        network: In evaluation.
        spec: Its inputs.
        bins: Its height classes.
        name: Registry name.
        sha256: Of the file it was read from; empty when fresh.
    """

    network: SurfaceNet
    spec: SurfaceSpec
    bins: Bins
    name: str
    sha256: str = ""

    def above_ground(
        self,
        dsm_m: np.ndarray,
        pixel_size_m: float,
        threshold_m: float = 2.0,
        origin_px: tuple[int, int] = (0, 0),
    ) -> AboveGround:
        """Heights above ground of a surface without voids.

        Works block by block with the network's own halo. The network halves its grid three times, so blocks lie on
        the lattice of every eighth pixel; with `origin_px` and a halo given, windows of one surface agree.

        Args:
            dsm_m: (rows, columns), metres, finite.
            pixel_size_m: Ground size of a pixel, metres.
            threshold_m: Height that `covered` refers to.
            origin_px: Row and column of `dsm_m[0, 0]` on the surface's own global lattice.

        Raises:
            ConfigError: a pixel size the model was not trained for.
            HeightsNotFinite: a void or infinite height.
        """
        self.check_pixel_size(pixel_size_m)
        if not np.isfinite(dsm_m).all():
            raise HeightsNotFinite("the surface has voids", remedy="fill them first and mask the result")
        halo = self.spec.halo_px
        before = tuple(origin % STRIDE for origin in origin_px)
        after = tuple(-(size + start) % STRIDE for size, start in zip(dsm_m.shape, before, strict=True))
        pads = [(halo + start, halo + end) for start, end in zip(before, after, strict=True)]
        padded = np.pad(np.asarray(dsm_m, dtype=np.float32), pads, mode="edge")
        rows, cols = (size - 2 * halo for size in padded.shape)
        planes = np.empty((3, rows, cols), dtype=np.float32)
        for row in range(0, rows, _BLOCK_PX):
            for col in range(0, cols, _BLOCK_PX):
                height, width = min(_BLOCK_PX, rows - row), min(_BLOCK_PX, cols - col)
                part = padded[row : row + height + 2 * halo, col : col + width + 2 * halo]
                planes[:, row : row + height, col : col + width] = self._block(part, pixel_size_m, threshold_m)
        cut = (slice(before[0], before[0] + dsm_m.shape[0]), slice(before[1], before[1] + dsm_m.shape[1]))
        return AboveGround(*(np.ascontiguousarray(plane[cut]) for plane in planes))

    def _block(self, part_m: np.ndarray, pixel_size_m: float, threshold_m: float) -> np.ndarray:
        """Height, spread and cover of the inside of a block with halo; its sides are multiples of 8."""
        head, halo = OrdinalHead(self.bins), self.spec.halo_px
        with torch.inference_mode():
            outputs = self.network(torch.from_numpy(features(part_m, pixel_size_m, self.spec)[None]))
            outputs = outputs[..., halo:-halo, halo:-halo]
            estimate = head.decode(outputs, Decoding.EXPECTATION)
            planes = (estimate.height_m, estimate.spread_m, head.exceeding(outputs, threshold_m))
        return np.concatenate([plane.numpy() for plane in planes])

    def check_pixel_size(self, pixel_size_m: float) -> None:
        """Refuse pixel sizes the model has not seen.

        Raises:
            ConfigError: too small or too large.
        """
        low, high = self.spec.pixel_size_m
        if not low <= pixel_size_m <= high:
            raise ConfigError(
                f"bare-earth model {self.name} works at {low:g} to {high:g} m, not at {pixel_size_m:g} m",
                remedy="resample the surface, or use another model",
            )

    def save(self, path: Path, card: dict[str, str] | None = None) -> int:
        """Write weights in half precision with what is needed to read them; returns the size in bytes."""
        from safetensors.torch import save

        document = {
            "version": VERSION,
            "name": self.name,
            "spec": self.spec.to_dict(),
            "bins": self.bins.to_dict(),
            "card": card or {},
        }
        weights = {name: tensor.detach().half().contiguous() for name, tensor in self.network.state_dict().items()}
        data = save(weights, metadata={FORMAT: json.dumps(document, sort_keys=True)})
        path.write_bytes(data)
        return len(data)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a weights file.

        Raises:
            SourceMissing: there is no such file.
            ForeignModel: it is no bare-earth model, of another version, or damaged.
        """
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise SourceMissing(f"no weights file {path}")
        try:
            with safe_open(path, framework="pt") as file:
                text = (file.metadata() or {}).get(FORMAT)
                weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, OSError) as error:
            raise ForeignModel(f"{path.name} is no safetensors file: {error}") from error
        if text is None:
            raise ForeignModel(f"{path.name} holds no bare-earth model")
        try:
            document = json.loads(text)
            if document["version"] != VERSION:
                raise ForeignModel(f"{path.name} is of version {document['version']}, this program reads {VERSION}")
            spec, bins = SurfaceSpec.from_dict(document["spec"]), Bins.from_dict(document["bins"])
            network = SurfaceNet(spec, OrdinalHead(bins).channels)
            network.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ForeignModel(f"the description in {path.name} is damaged: {error!r}") from error
        network.eval()
        return cls(network, spec, bins, str(document["name"]), hashlib.sha256(path.read_bytes()).hexdigest())


def bare_earth_names() -> tuple[str, ...]:
    """Names of the models that ship."""
    return tuple(sorted(path.stem.removeprefix(_PREFIX) for path in WEIGHTS_DIR.glob(f"{_PREFIX}*.safetensors")))


def load_bare_earth(name: str) -> SurfaceModel:
    """A model by its registry name, or by the path of a weights file.

    Raises:
        ConfigError: no model has that name.
        ForeignModel: the file is no bare-earth model.
    """
    shipped = WEIGHTS_DIR / f"{_PREFIX}{name}.safetensors"
    path = shipped if shipped.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(bare_earth_names()) or "none"
        raise ConfigError(f"no bare-earth model is called {name!r}", remedy=f"shipped are {known}")
    return SurfaceModel.load(path)
