"""Selects the CPU kernels: the compiled ones, or numpy's if these are not compiled yet.

Compiling takes some 20 seconds once per machine. `before_compiled` makes a block of code use numpy in that case;
`compile_in_background` fills the cache for the next run.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from orograph.pipeline.coregistration import numpy_kernels

MOST_PIXELS: Final = 4_000_000
"""Larger pairs take longer with numpy than compiling does."""
_by_numpy: ContextVar[bool] = ContextVar("by_numpy", default=False)


def by_numpy() -> bool:
    """Whether numpy's kernels are in use in this context."""
    return _by_numpy.get()


def cpu_kernels() -> Any:
    """The module of kernels in use in this context."""
    if by_numpy():
        return numpy_kernels
    from orograph.pipeline.coregistration import kernels

    return kernels


def compiled_before() -> bool:
    """Whether numba's cache contains the kernels for this processor and these sources."""
    from orograph.pipeline.coregistration import kernels

    used: tuple[Any, ...] = (kernels.accumulate, kernels.warp)
    try:
        # Numba has no public API for this; without an answer the compiled kernels are used.
        return all(bool(kernel._cache._cache_file._load_index()) for kernel in used)  # noqa: SLF001
    except AttributeError:
        return True


@contextmanager
def before_compiled(pixels: int) -> Iterator[bool]:
    """Context that uses numpy's kernels for a small raster if no kernels are compiled; yields whether it uses them."""
    token = _by_numpy.set(pixels <= MOST_PIXELS and not compiled_before())
    try:
        yield by_numpy()
    finally:
        _by_numpy.reset(token)


def compile_in_background() -> None:
    """Start a low-priority process that fills numba's cache and exits; the caller does not wait for it."""
    work = "import os; os.nice(10); from orograph.pipeline.coregistration.warm_up import warm_up; warm_up()"
    quiet = "stdin=s.DEVNULL, stdout=s.DEVNULL, stderr=s.DEVNULL, start_new_session=True"
    # The intermediate process exits at once, so that this process has no child to wait for.
    start = f"import subprocess as s, sys; s.Popen([sys.executable, '-c', {work!r}], {quiet})"
    subprocess.run([sys.executable, "-c", start], check=False, capture_output=True)
