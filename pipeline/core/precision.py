"""Arithmetic of networks: TF32 and half precision only where the hardware convolves in them, float32 everywhere else."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

from orograph.pipeline.errors import ConfigError

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "tf32", "bf16", "fp16")
DEFAULT_PRECISION: Final[Precision] = "fp32"
"""Computed by every processor and GPU, so heights agree to rounding wherever they are made."""
_SWITCH: Final = threading.RLock()
"""torch's switch for TF32 is one per process: threads take turns while they start convolutions on CUDA."""


def checked_precision(name: str) -> Precision:
    """Return a precision by its name.

    Raises:
        ConfigError: No such precision.
    """
    for precision in PRECISIONS:
        if name == precision:
            return precision
    raise ConfigError(f"unknown precision {name!r}", remedy=f"use one of: {', '.join(PRECISIONS)}")


def check_trainable(precision: Precision) -> None:
    """Reject a precision in which gradients underflow without loss scaling.

    Raises:
        ConfigError: The precision is not supported for training.
    """
    if checked_precision(precision) == "fp16":
        raise ConfigError("training cannot run in fp16", remedy="use fp32 or bf16")


def used_precision(precision: Precision, device: str) -> Precision:
    """Return the precision a device computes in when asked for `precision`: the same, or `fp32` where unsupported.

    Args:
        precision: The requested precision.
        device: Torch device by name: `cpu`, `cuda`, `cuda:1`.
    """
    return precision if precision == "fp32" or _convolves_in(precision, device) else "fp32"


def supported_precisions(device: str) -> tuple[Precision, ...]:
    """Return the precisions in which a device computes convolutions, `fp32` first."""
    return tuple(precision for precision in PRECISIONS if used_precision(precision, device) == precision)


def body_dtype(precision: Precision, device: str) -> torch.dtype:
    """Return the torch type in which a network's body runs on a device; see `used_precision`."""
    import torch

    half = {"bf16": torch.bfloat16, "fp16": torch.float16}
    return half.get(used_precision(precision, device), torch.float32)


@contextlib.contextmanager
def convolutions(precision: Precision, device: str) -> Iterator[None]:
    """Within, float32 convolutions on a device run in TF32 if that is the precision it uses, else in full single precision.

    TF32 rounds the factors of products to 10 bits of mantissa and sums in float32. Heights themselves need more bits,
    so only a network's body runs within. Other devices than CUDA have no such switch, and nothing changes.

    Args:
        precision: The requested one.
        device: Torch device by name.
    """
    if not _has_switch(device):
        yield
        return
    import torch

    with _SWITCH:
        before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = used_precision(precision, device) == "tf32"
        try:
            yield
        finally:
            torch.backends.cudnn.allow_tf32 = before


@contextlib.contextmanager
def autocast(precision: Precision, device: str = "cpu") -> Iterator[None]:
    """Within, a device's convolutions of float32 tensors run in `precision`; in float32 where unsupported.

    Args:
        precision: The requested one.
        device: Torch device by name.
    """
    import torch

    dtype = body_dtype(precision, device)
    half = contextlib.nullcontext() if dtype is torch.float32 else torch.autocast(device.partition(":")[0], dtype)
    with convolutions(precision, device), half:
        yield


def has_fused_convolutions(device: str) -> bool:
    """Whether torch can fuse a ReLU into a convolution on this device: true for processors with oneDNN."""
    return device == "cpu" and _has_onednn()


def _convolves_in(precision: Precision, device: str) -> bool:
    """Return whether a device has native convolutions in TF32 or half precision.

    On a processor torch's answer decides: the operator exists in every build, and raises on processors without
    AVX-512 (bf16) or AVX512-FP16 (fp16). TF32 is used on CUDA alone.
    """
    import torch

    if precision == "tf32":
        return _has_switch(device) and torch.cuda.is_tf32_supported()
    if device == "cpu":
        # The queries are registered only in builds with oneDNN.
        if not _has_onednn():
            return False
        ops = torch.ops.mkldnn
        supported = ops._is_mkldnn_bf16_supported if precision == "bf16" else ops._is_mkldnn_fp16_supported  # noqa: SLF001
        return bool(supported())
    if device.startswith("cuda"):
        return precision == "fp16" or torch.cuda.is_bf16_supported(including_emulation=False)
    return False


def _has_switch(device: str) -> bool:
    """Whether torch's switch for TF32 has an effect on a device."""
    return device.startswith("cuda")


def _has_onednn() -> bool:
    import torch

    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
