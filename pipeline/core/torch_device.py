"""The device torch works on: asked for by name, and there or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orograph.pipeline.errors import ConfigError

if TYPE_CHECKING:
    import torch


def torch_device(name: str) -> torch.device:
    """A torch device by its name: `cpu`, `cuda`, `cuda:1`.

    CUDA is told to run deterministic algorithms and whole single precision, so that a device repeats its own bits.

    Raises:
        ConfigError: There is no such device here.
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
