"""Waiting times before retries: bounded, exponentially growing, and random."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from orograph.pipeline.errors import SourceChanged, TransientError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Number of attempts and waiting times between them.

    Attributes:
        attempts: Number of attempts, including the first.
        first_s: Upper limit of the first wait; it doubles each time.
        longest_s: Longest wait, even if the server asks for more.
        total_s: Latest start of an attempt after the start of the first.
    """

    attempts: int = 6
    first_s: float = 0.2
    longest_s: float = 8.0
    total_s: float = 180.0

    def wait_s(self, failures: int, asked_s: float | None = None) -> float:
        """Seconds to wait after the n-th failure: random between half the limit and the limit, or the server's wish."""
        limit = min(self.longest_s, self.first_s * 2.0 ** (failures - 1))
        # Jitter keeps a hundred workers from coming back in step; it shapes no result, so the generator needs no seed.
        drawn = limit * random.uniform(0.5, 1.0)  # noqa: S311
        return drawn if asked_s is None else min(self.longest_s, max(drawn, asked_s))


def retry_after_s(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, given as seconds or as a date; None if it names neither."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        asked = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, asked.timestamp() - time.time())


def retrying(call: Callable[[], T], backoff: Backoff, sleep: Callable[[float], None] = time.sleep) -> T:
    """Call until it succeeds; only `TransientError` is tried again, and the last one is raised.

    A changed source is not tried again: it will not change back. An error may carry `retry_after_s`, the wait its
        server asked for.
    """
    started = time.monotonic()
    failures = 0
    while True:
        try:
            return call()
        except SourceChanged:
            raise
        except TransientError as error:
            failures += 1
            wait_s = backoff.wait_s(failures, getattr(error, "retry_after_s", None))
            if failures >= backoff.attempts or time.monotonic() - started + wait_s > backoff.total_s:
                raise
            sleep(wait_s)
