"""Selects the CPU kernels: the compiled ones, or numpy's if these are not compiled yet.

Compiling takes some 20 seconds once per machine. `before_compiled` makes a block of code use numpy in that case;
`compile_in_background` fills the cache for the next run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from orograph.pipeline.core.compiled import NUMPY_FORMS, numpy_forms

MOST_PIXELS: Final = 4_000_000
"""Larger pairs take longer with numpy than compiling does."""


def by_numpy() -> bool:
    """Whether numpy's kernels are in use in this context."""
    return NUMPY_FORMS.get()


def cpu_kernels() -> Any:
    """The module of kernels in use in this context."""
    # Numpy's kernels import a large part of SciPy, which compiled ones do without.
    if by_numpy():
        from orograph.pipeline.coregistration import numpy_kernels

        return numpy_kernels
    from orograph.pipeline.coregistration import kernels

    return kernels


def compiled_before() -> bool:
    """Whether numba's cache contains the kernels for this processor and these sources."""
    from orograph.pipeline.coregistration import kernels

    if "numba" not in sys.modules and not _any_cached(Path(kernels.__file__)):
        return False
    used: tuple[Any, ...] = (kernels.accumulate, kernels.warp)
    try:
        # Numba has no public API for this; without an answer the compiled kernels are used.
        return all(bool(kernel._cache._cache_file._load_index()) for kernel in used)  # noqa: SLF001
    except AttributeError:
        return True


def _any_cached(source: Path) -> bool:
    """Whether an index of numba's cache exists for the kernels; cheaper than to import numba for the answer."""
    index = f"{source.stem}.accumulate-*.nbi"
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    shared = [os.environ.get("NUMBA_CACHE_DIR"), f"{user}/numba", "~/Library/Caches/numba"]
    folders = [Path(folder).expanduser() for folder in shared if folder]
    return any((source.parent / "__pycache__").glob(index)) or any(any(folder.glob(f"*/{index}")) for folder in folders)


@contextmanager
def before_compiled(pixels: int) -> Iterator[bool]:
    """Context that uses numpy's kernels for a small raster if no kernels are compiled; yields whether it uses them."""
    with numpy_forms(used=pixels <= MOST_PIXELS and not compiled_before()):
        yield by_numpy()


def compile_in_background() -> None:
    """Start a low-priority process that fills numba's cache and exits; the caller does not wait for it."""
    work = "import os; os.nice(10); from orograph.pipeline.coregistration.warm_up import warm_up; warm_up()"
    quiet = "stdin=s.DEVNULL, stdout=s.DEVNULL, stderr=s.DEVNULL, start_new_session=True"
    # The intermediate process exits at once, so that this process has no child to wait for.
    start = f"import subprocess as s, sys; s.Popen([sys.executable, '-c', {work!r}], {quiet})"
    subprocess.run([sys.executable, "-c", start], check=False, capture_output=True)
