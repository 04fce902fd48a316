"""TF32 on the processor: convolutions round their factors as a GPU's tensor cores do, wherever torch's switch is on.

Only the order of the sums differs from a GPU's. So it shows where the switch covers too much or too little, and how much
accuracy the rounding costs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from orograph.pipeline.core import precision

_FACTORS = {
    torch.ops.aten.conv2d.default: 2,
    torch.ops.aten.convolution.default: 2,
    torch.ops.mkldnn._convolution_pointwise.default: 2,
    torch.ops.aten.convolution_backward.default: 3,
}
"""How many of an operator's first arguments are factors of its products."""


def rounded(values: torch.Tensor) -> torch.Tensor:
    """Float32 values to the nearest with 10 bits of mantissa, ties to even."""
    bits = values.detach().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


class _TensorCores(TorchDispatchMode):
    """Rounds the factors of convolutions while the switch is on, and counts them by its position."""

    def __init__(self) -> None:
        super().__init__()
        self.count = {True: 0, False: 0}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if factors := _FACTORS.get(func):
            on = torch.backends.cudnn.allow_tf32
            self.count[on] += 1
            if on:
                args = (*(rounded(one) for one in args[:factors]), *args[factors:])
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def tensor_cores() -> Iterator[_TensorCores]:
    """Within, the processor counts as a device with TF32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with (
            mock.patch.object(precision, "_has_switch", return_value=True),
            mock.patch("torch.cuda.is_tf32_supported", return_value=True),
            _TensorCores() as cores,
        ):
            yield cores
            assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before
