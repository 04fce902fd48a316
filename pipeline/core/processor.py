"""The processor of this machine: cores this process may use, instruction set, limits on both."""

from __future__ import annotations

import os
from typing import Final

CAPS: Final = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables that make torch and oneDNN use fewer instructions than the processor has."""


def usable_cores() -> int:
    """Return the number of cores this process may run on; on macOS, which has no affinity, the number of all cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def instruction_set() -> str:
    """Return the widest instruction set torch uses here, such as `AVX2`, `AVX512` or `DEFAULT`."""
    import torch

    return str(torch.backends.cpu.get_cpu_capability())


def instruction_caps() -> tuple[str, ...]:
    """Return the limits on the instruction set from the environment, as `NAME=value`."""
    return tuple(f"{name}={os.environ[name]}" for name in CAPS if os.environ.get(name))
