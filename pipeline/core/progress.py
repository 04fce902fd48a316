"""Progress of long computations, reported to a listener, if one is set.

Like logging, so that a loop deep in a computation needs no extra parameter. The listener is set by a command for the
duration of its work; workers of an engine have their own callbacks (`pipeline.job`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

T = TypeVar("T")

Listener = Callable[[str, float, float], None]
"""Receives the name of the step, the work done and the work due in any unit."""

_LISTENER: Final[ContextVar[Listener | None]] = ContextVar("orograph_progress", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send the reports of everything called inside the block to a listener."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def report(step: str, done: float, due: float) -> None:
    """Report that `done` of `due` units of a step are finished; `done` 0 announces the step."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(step, done, due)


def tracked(items: Iterable[T], step: str, due: int | None = None) -> Iterator[T]:
    """Iterate over `items` and report each that is finished; nested loops report the innermost step last.

    Args:
        items: Anything iterable; only a collection knows its length.
        step: Name of the step, such as `super-resolution`.
        due: Number of items, if `items` has no length.
    """
    total = due if due is not None else len(items) if isinstance(items, Collection) else 0
    report(step, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        report(step, done, total)
