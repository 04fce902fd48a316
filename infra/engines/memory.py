"""Peak memory of this process per tile, and the number of workers that fit on this machine."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import psutil

from orograph.pipeline.core.processor import usable_cores

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_CGROUP = Path("/sys/fs/cgroup")
WORKER_MB: Final = 1500
"""Memory a worker may need: the budget of a tile (`memory_limit_mb`); about 500 MB were measured without a network."""


def reset_peak() -> None:
    """Reset the peak-RSS counter; if unsupported, the peak of the whole process is reported."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5", encoding="ascii")


def peak_rss_mb() -> float:
    """Largest resident memory since `reset_peak`, MB.

    `getrusage` is not suitable: a process that was just started reports its parent's peak.
    """
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(_STATUS.read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) / 1024
    import resource  # Unix only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 1024)  # macOS counts bytes, Linux kibibytes


def usable_workers() -> int:
    """Number of workers that fit on this machine at once, by usable cores and free memory; at least one.

    A container's limits of cores and memory apply.
    """
    cores: float = usable_cores()
    with contextlib.suppress(OSError, ValueError):
        quota, period = (_CGROUP / "cpu.max").read_text(encoding="ascii").split()
        cores = min(cores, int(quota) / int(period))
    free = psutil.virtual_memory().available
    with contextlib.suppress(OSError, ValueError):
        limit, used = ((_CGROUP / f"memory.{name}").read_text(encoding="ascii") for name in ("max", "current"))
        free = min(free, int(limit) - int(used))
    return max(1, min(int(cores), free // (WORKER_MB * 2**20)))
