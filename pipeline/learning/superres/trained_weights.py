"""Networks from weights and checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from orograph.pipeline.errors import ConfigError, ModelError, SourceMissing
from orograph.pipeline.superres.network import PRESETS, Preset, TerrainNet


def trained(weights: Sequence[Path], factor: int) -> TerrainNet:
    """Return the network of weights or of a checkpoint's average; for several, their mean.

    Raises:
        SourceMissing, ModelError: The file does not exist, or contains no tensors.
        ConfigError: They are not of one known preset.
    """
    loaded = [_tensors(path) for path in weights]
    loaded = [tensors | below(tensors, "average.") for tensors in loaded]
    preset = _preset_of(loaded[0])
    if any(_preset_of(tensors) != preset for tensors in loaded):
        raise ConfigError("the mean of networks of different presets", remedy="start from branches of one trunk")
    net = TerrainNet(preset, factor, loaded[0]["bases"].clone())
    means = {name: torch.stack([each[name].float() for each in loaded]).mean(dim=0) for name in net.state_dict()}
    net.load_state_dict(means)
    return net


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise SourceMissing(f"no weights at {path}", source=str(path))
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(f"weights {path} do not parse: {error}", remedy="a .safetensors file is wanted") from error


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Tensors whose names start with the prefix, by the rest of their names."""
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _preset_of(tensors: dict[str, Tensor]) -> Preset:
    """The preset whose network has tensors of these shapes."""
    depth = len([name for name in tensors if name.startswith("body.") and name.endswith(".first")])
    channels = tensors["head"].shape[1] if "head" in tensors else 0
    for preset in PRESETS.values():
        if (preset.channels, len(preset.dilations)) == (channels, depth):
            return preset
    raise ConfigError(f"weights of {depth} blocks of {channels} channels", remedy=f"presets: {', '.join(PRESETS)}")
