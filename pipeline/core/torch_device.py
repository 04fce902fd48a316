"""Select the torch device by name; an unavailable device raises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orograph.pipeline.errors import ConfigError, OutOfMemory

if TYPE_CHECKING:
    import torch


def torch_device(name: str) -> torch.device:
    """Return a torch device by name: `cpu`, `cuda`, `cuda:1`.

    CUDA runs deterministic algorithms in full single precision, so that a device gives the same bits every time.

    Raises:
        ConfigError: The device is not available on this machine.
    """
    import torch

    if name.startswith("cuda"):
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.allow_tf32 = False
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as fault:
        reason = str(fault).splitlines()[0]
        raise ConfigError(
            f"no device {name!r}: {reason}", remedy="leave the device out to use the processor"
        ) from fault
    return device


@contextlib.contextmanager
def device_memory(device: str, purpose: str) -> Iterator[None]:
    """Report an out-of-memory error of a device in this block as an error of this package.

    Args:
        device: Name of the device.
        purpose: Work that needs the memory, for the message.

    Raises:
        OutOfMemory: The device is out of memory.
    """
    if device == "cpu":
        yield
        return
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(
            f"{device} has no memory for {purpose}",
            remedy="let fewer workers share the device, or set device=cpu",
        ) from error
