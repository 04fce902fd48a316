"""Keeps the network of sensors symmetric under the square's eight symmetries; see `orograph.pipeline.superres.symmetry`.

A right angle exchanges columns and rows, so that each pair of planes changes places.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from orograph.pipeline.superres.sensor.net_inputs import FIELDS, PAIRS, PHASES, SCALARS
from orograph.pipeline.superres.sensor.net_range import FACTOR
from orograph.pipeline.superres.sensor.network import SensorNet
from orograph.pipeline.superres.symmetry import ORDER, IntArray, group_sources, is_quarter_turn, moved


def _head_sources(shape: tuple[int, ...], element: int) -> IntArray:
    flat = group_sources("head", (1, *shape), FACTOR, element).reshape(shape)
    fields = flat[:, : FIELDS * PHASES].reshape(shape[0], FIELDS, FACTOR, FACTOR, *shape[2:])
    fields = moved(fields, element, (2, 3)).reshape(shape[0], FIELDS * PHASES, *shape[2:])
    scalars = flat[:, FIELDS * PHASES : FIELDS * PHASES + SCALARS]
    pairs = flat[:, FIELDS * PHASES + SCALARS :].reshape(shape[0], PAIRS, 2, *shape[2:])
    if is_quarter_turn(element):
        pairs = pairs[:, :, ::-1]
    return np.concatenate([fields, scalars, pairs.reshape(shape[0], 2 * PAIRS, *shape[2:])], axis=1)


def _sources(kind: str, shape: tuple[int, ...], element: int) -> IntArray:
    """Source of each entry of a tensor under a group element."""
    if kind == "head":
        return _head_sources(shape, element)
    if kind == "tail":
        return group_sources("tail", (1, *shape), FACTOR, element).reshape(shape)
    if kind == "gate":  # One value for a coarse pixel: a tail with a single phase.
        parts = np.arange(shape[0])[:, None] * int(np.prod(shape[1:]))
        one = group_sources("tail", (1, 1, *shape[1:]), 1, element).reshape(1, -1)
        return np.asarray(parts + one).reshape(shape)
    if kind == "bias":
        return group_sources("mode_gain", (1, *shape), FACTOR, element).reshape(shape)
    return group_sources("first", shape, FACTOR, element)


class SensorSymmetry:
    """Projects tensors onto those of symmetric networks.

    Args:
        net: A network of their shape.
    """

    def __init__(self, net: SensorNet) -> None:
        self._maps: dict[tuple[str, torch.Size], Tensor] = {}
        with torch.no_grad():
            for kind, parameter in _kinds(net):
                gain = 1.0 if kind == "bias" else ORDER**0.5
                parameter.copy_(self._mean(kind, parameter) * gain)

    def _mean(self, kind: str, tensor: Tensor) -> Tensor:
        found = self._maps.get((kind, tensor.shape))
        if found is None:
            sources = np.stack([_sources(kind, tuple(tensor.shape), a).ravel() for a in range(ORDER)])
            # Tied entries take their mean in one order, so that they are equal to the last bit.
            found = self._maps[(kind, tensor.shape)] = torch.from_numpy(np.sort(sources, axis=0))
        orbit = tensor.reshape(-1)[found.to(tensor.device)]
        while len(orbit) > 1:
            orbit = (orbit[0::2] + orbit[1::2]) / 2.0
        return orbit.reshape(tensor.shape)

    @torch.no_grad()
    def hold(self, net: SensorNet) -> None:
        """Remove rounding errors from symmetric weights."""
        for kind, parameter in _kinds(net):
            parameter.copy_(self._mean(kind, parameter))

    @torch.no_grad()
    def guide(self, net: SensorNet) -> None:
        """Make the gradients symmetric."""
        for kind, parameter in _kinds(net):
            if parameter.grad is not None:
                parameter.grad.copy_(self._mean(kind, parameter.grad))


def _kinds(net: SensorNet) -> Iterator[tuple[str, Tensor]]:
    """Tensors with a direction, and how they turn."""
    yield "head", net.head
    yield "bias", net.head_bias
    for first, bias, second in zip(net.first, net.first_bias, net.second, strict=True):
        yield "first", first
        yield "bias", bias
        yield "second", second
    yield "tail", net.tail
    yield "gate", net.gate
