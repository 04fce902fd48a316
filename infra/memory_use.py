"""How much memory this process has held at most, for one tile at a time."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Begin to count anew; where the system cannot, the peak stays that of the whole process."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text("5", encoding="ascii")


def peak_rss_mb() -> float:
    """Largest resident memory since `reset_peak`, MB.

    `getrusage` will not do: a process that was just started shows its parent's peak.
    """
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(_STATUS.read_text(encoding="ascii").split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
