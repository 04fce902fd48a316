"""Initialise a larger network from a smaller one: same output, more capacity.

After T. Chen, I. Goodfellow and J. Shlens, "Net2Net", 2016. Existing layers ignore new
channels, and new blocks add zero, so that training continues from the small network instead of from noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.superres.network import Preset, TerrainNet


def widened(small: TerrainNet, preset: Preset) -> TerrainNet:
    """A network of a larger preset with the same output as `small`, to the rounding of sums.

    Args:
        small: The network to begin with.
        preset: At least as many channels, and the same dilations followed by further ones.

    Raises:
        ConfigError: The preset has no room for the small network.
    """
    depth, channels = len(small.preset.dilations), small.preset.channels
    if preset.channels < channels or preset.dilations[:depth] != small.preset.dilations:
        raise ConfigError(
            f"{preset} cannot begin as {small.preset}", remedy="as many channels, and the same dilations first"
        )
    large = TerrainNet(preset, small.factor, small.get_buffer("bases").clone())
    with torch.no_grad():
        large.head[:, :channels] = small.head
        large.tail.zero_()
        large.tail[:, :, :channels] = small.tail
        for mine, theirs in zip(large.blocks(), small.blocks(), strict=False):
            for kernel, known in ((mine.first, theirs.first), (mine.second, theirs.second)):
                _embed(kernel, known)
            mine.mode_gain[:, :channels] = theirs.mode_gain
            mine.aspect_gain[:, :channels] = theirs.aspect_gain
        for block in large.blocks()[depth:]:
            block.second.zero_()
    return large


def _embed(kernel: Tensor, known: Tensor) -> None:
    """Old channels keep their weights from old ones and get zero weights from new ones."""
    channels = known.shape[0]
    kernel[:channels, channels:] = 0.0
    kernel[:channels, :channels] = known
