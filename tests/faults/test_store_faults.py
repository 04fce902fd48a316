"""The n-th store operation fails, for every n: the run resumes to the same bytes, and nothing is half-published.

Faults 4, 8, 10 (disk), 13 (outputs), 21, 22 of the list in docs/design/072.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from orograph.pipeline.errors import OrographError
from orograph.stac.verify import verify
from tests.support.catalogue_world import MemoryStore
from tests.support.fault_world import half_published, items, make_tile, make_world, snapshot
from tests.support.faulty_store import FaultyStore, Killed

LONG = os.environ.get("OROGRAPH_FAULTS") == "long"
STEP = 1 if LONG else 2
FAULTS = ("before", "after", "kill-before", "kill-after", "full")


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, str]:
    store = MemoryStore()
    make_world(store)
    return snapshot(store)


def disturbed_world(at: int, fault: str, *, lasting: bool = False) -> tuple[MemoryStore, FaultyStore, str]:
    """A run with one fault, and how it ended."""
    inner = MemoryStore()
    faulty = FaultyStore(inner, at=at, fault=fault, lasting=lasting)
    try:
        make_world(faulty)
    except OrographError as error:
        return inner, faulty, type(error).__name__
    except Killed:
        return inner, faulty, "Killed"
    return inner, faulty, "done"


@pytest.mark.parametrize("fault", FAULTS)
def test_every_operation_may_fail_once(fault: str, undisturbed: dict[str, str], answered: Counter[str]) -> None:
    ends: Counter[str] = Counter()
    at = 1 - STEP + FAULTS.index(fault) % STEP
    while True:
        at += STEP
        inner, faulty, end = disturbed_world(at, fault)
        assert half_published(inner) == [], f"operation {at}: {faulty.log[-1]}"
        if faulty.fired:
            ends[end] += 1
        make_world(inner)
        assert snapshot(inner) == undisturbed, f"operation {at}: {faulty.log[-1]}"
        answered[f"store operation: {fault}"] += faulty.fired
        if not faulty.fired:
            break
    assert at > 40, "the loop must have reached every operation of the run"
    if fault in {"before", "after"}:
        assert set(ends) <= {"StoreUnavailable", "done"}
    if fault.startswith("kill"):
        assert set(ends) == {"Killed"}


def test_a_store_that_stays_away_leaves_a_resumable_state(undisturbed: dict[str, str], answered: Counter[str]) -> None:
    for at in range(1, 80, 1 if LONG else 6):
        inner, _, end = disturbed_world(at, "before", lasting=True)
        assert end in {"StoreUnavailable", "done"}
        assert half_published(inner) == []
        make_world(inner)
        assert snapshot(inner) == undisturbed
        answered["store that stays away"] += end != "done"


def test_a_bit_flipped_on_the_way_is_noticed_before_anything_is_published(answered: Counter[str]) -> None:
    """Every write of an asset, at many of its bits: the commit refuses, and no item shows it."""
    caught = 0
    for bit in range(400 if LONG else 4):
        for at in range(1, 100):
            inner = MemoryStore()
            faulty = FaultyStore(inner, at=at, fault="flip", bit=bit * 7919)
            with contextlib.suppress(OrographError):
                make_tile(faulty, 0)
            if not faulty.fired:
                break
            verb, _, key = faulty.log[at - 1].partition(" ")
            if verb == "put" and key.startswith("tiles/") and not key.endswith(".json"):
                assert list(items(inner)) == []
                caught += 1
                answered["bit flipped while an asset is written"] += 1
            if caught == 2 * (bit + 1):
                break
    assert caught == 2 * (bit + 1)


def test_the_resumed_catalogue_verifies(shared: Callable[[str], Path]) -> None:
    inner, _, end = disturbed_world(25, "kill-after")
    assert end == "Killed"
    make_world(inner)
    report = verify(inner, shared("stac-schemas"))
    assert report.ok, report.problems
