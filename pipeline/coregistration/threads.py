"""Processes bands of rows in threads; kernels release the interpreter lock, so threads are sufficient."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import lru_cache
from typing import TypeVar

from orograph.pipeline.core.compiled import NUMPY_FORMS
from orograph.pipeline.core.processor import usable_cores

Result = TypeVar("Result")


def usable_threads(threads: int) -> int:
    """The number of threads to use; 0 means as many as this process may use."""
    if threads > 0:
        return threads
    return usable_cores()


def in_bands(work: Callable[[int, int], Result], rows: int, threads: int, per_band: int = 64) -> list[Result]:
    """Call `work(first, last)` on bands of rows; bands do not depend on the number of threads."""
    bands = [(first, min(first + per_band, rows)) for first in range(0, rows, per_band)]
    # Numpy's kernels hold the interpreter lock between short steps: two threads take longer than one.
    if usable_threads(threads) == 1 or len(bands) == 1 or NUMPY_FORMS.get():
        return [work(*band) for band in bands]
    # Each band runs in a copy of the caller's context, which selects the kernels.
    context = copy_context()
    return list(_pool(usable_threads(threads), os.getpid()).map(lambda band: context.copy().run(work, *band), bands))


@lru_cache(maxsize=2)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Thread pool kept for the next call: a fit needs it fifty times. A forked process needs its own."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"coregistration-{process}")
