"""Rotation-equivariant networks: features in groups of eight, one for each symmetry of the square.

Terrain has no preferred direction, but an ordinary network has to learn each pattern in eight orientations. After T.
Cohen and M. Welling, "Group equivariant convolutional networks", 2016: kernels are tied so that rotated heights give
the rotated output, exactly. Such a network is an ordinary `TerrainNet` whose tensors are in a linear subspace; this
module projects onto it. Projected tensors stay there during training: Adam's and Muon's steps of a symmetric gradient
are symmetric.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from orograph.pipeline.superres.network import TerrainNet

ORDER: Final = 8
"""Symmetries of the square: four turns, each plain and mirrored."""

IntArray = npt.NDArray[np.int64]

_ELEMENTS: Final = tuple((turns, mirrored) for mirrored, turns in product((False, True), range(4)))
_KERNELS: Final = frozenset({"head", "first", "second", "tail"})
_TOLERANCE: Final = 1e-5


def moved(planes: IntArray, element: int, axes: tuple[int, int] = (-2, -1)) -> IntArray:
    """Planes turned by an element's right angles, then mirrored if it mirrors."""
    turns, mirrored = _ELEMENTS[element]
    out = np.rot90(planes, turns, axes)
    return np.flip(out, axes[1]) if mirrored else out


def is_quarter_turn(element: int) -> bool:
    """Whether an element turns by an odd number of right angles, so that rows become columns."""
    return _ELEMENTS[element][0] % 2 == 1


def _group() -> tuple[IntArray, IntArray]:
    """The table of products (a, b) to ab, "first b, then a", and the inverses."""
    grid = np.arange(9).reshape(3, 3)
    seen = [moved(grid, a).ravel() for a in range(ORDER)]
    table = np.array(
        [
            [next(k for k in range(ORDER) if (seen[k] == seen[b][seen[a]]).all()) for b in range(ORDER)]
            for a in range(ORDER)
        ]
    )
    return table, np.argmax(table == 0, axis=1)


_PRODUCT, _INVERSE = _group()


def group_sources(kind: str, shape: tuple[int, ...], factor: int, element: int) -> IntArray:
    """Return the source of each entry of a tensor under a group element: flat indices, of the tensor's shape.

    Channel 8 i + g is field i as the element g sees it, so that an element also permutes each eight.
    """
    flat = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    eight = _PRODUCT[_INVERSE[element]]
    if kind in {"mode_gain", "aspect_gain"}:
        return flat.reshape(shape[0], -1, ORDER)[:, :, eight].reshape(shape)
    if kind == "head":
        return moved(flat.reshape(shape[0], -1, ORDER, *shape[2:])[:, :, eight], element).reshape(shape)
    if kind in {"first", "second"}:
        fields = flat.reshape(shape[0] // ORDER, ORDER, shape[1] // ORDER, ORDER, *shape[2:])
        return moved(fields[:, eight][:, :, :, eight], element).reshape(shape)
    phases = flat.reshape(shape[0], factor, factor, *shape[2:])
    if kind in {"tail", "error"}:
        phases = phases.reshape(shape[0], factor, factor, -1, ORDER, *shape[3:])[:, :, :, :, eight]
    return moved(moved(phases, element), element, (1, 2)).reshape(shape)


class Symmetry:
    """Projects the tensors of networks of one shape onto those of symmetric ones.

    Args:
        net: A network of that shape; its number of channels is a multiple of 8.
    """

    def __init__(self, net: TerrainNet) -> None:
        self.factor = net.factor
        self._maps: dict[tuple[str, torch.Size], tuple[Tensor, Tensor]] = {}

    def mean(self, name: str, tensor: Tensor) -> Tensor:
        """The mean of a tensor over all symmetries: the nearest tensor of a symmetric network.

        Args:
            name: Name of the parameter; "error" for the error head's kernels.
            tensor: The parameter, or its gradient.
        """
        kind = name.rsplit(".", 1)[-1]
        sources, signs = self._map(kind, tensor.shape, tensor.device)
        orbit = tensor.reshape(-1)[sources] * signs
        # In pairs: the mean of eight equal numbers is that number, to the last bit.
        while len(orbit) > 1:
            orbit = (orbit[0::2] + orbit[1::2]) / 2.0
        return orbit.reshape(tensor.shape)

    def _map(self, kind: str, shape: torch.Size, device: torch.device) -> tuple[Tensor, Tensor]:
        found = self._maps.get((kind, shape))
        if found is None:
            count = shape.numel()
            sources = np.stack([group_sources(kind, tuple(shape), self.factor, a).ravel() for a in range(ORDER)])
            signs = np.ones((ORDER, count), np.float32)
            if kind == "aspect_gain":
                # A right angle turns tall pixels into wide ones: the part odd in the logarithm of aspect changes sign.
                signs[[turns % 2 == 1 for turns, _ in _ELEMENTS], : count // 2] = -1.0
            # Tied entries take their mean in one order, so that they are equal to the last bit.
            order = np.argsort(sources, axis=0)
            found = self._maps[(kind, shape)] = (
                torch.from_numpy(np.take_along_axis(sources, order, axis=0)).to(device),
                torch.from_numpy(np.take_along_axis(signs, order, axis=0)).to(device),
            )
        return found

    @torch.no_grad()
    def begin(self, net: TerrainNet) -> None:
        """Make a network with random initial weights symmetric, and keep the norm of its kernels."""
        for name, parameter in net.named_parameters():
            drawn = name.rsplit(".", 1)[-1] in _KERNELS
            parameter.copy_(self.mean(name, parameter) * (ORDER**0.5 if drawn else 1.0))
        self._bases(net)

    @torch.no_grad()
    def hold(self, net: TerrainNet) -> None:
        """Project the weights onto the symmetric ones, which removes rounding errors and unsymmetric new channels."""
        for name, parameter in net.named_parameters():
            parameter.copy_(self.mean(name, parameter))
        self._bases(net)

    def _bases(self, net: TerrainNet) -> None:
        bases = net.get_buffer("bases")
        bases.copy_(self.mean("bases", bases))

    @torch.no_grad()
    def guide(self, net: TerrainNet) -> None:
        """Project the gradients onto the symmetric ones."""
        for name, parameter in net.named_parameters():
            if parameter.grad is not None:
                parameter.grad.copy_(self.mean(name, parameter.grad))


def is_symmetric(net: TerrainNet) -> bool:
    """Whether rotated heights give the rotated output, apart from rounding of the weights."""
    if net.preset.channels % ORDER:
        return False
    symmetry = Symmetry(net)
    return all(
        float((symmetry.mean(name, tensor) - tensor).abs().max()) <= _TOLERANCE * float(tensor.abs().max())
        for name, tensor in _tensors(net)
    )


def _tensors(net: TerrainNet) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in net.named_parameters():
        yield name, parameter.detach()
    yield "bases", net.get_buffer("bases")
