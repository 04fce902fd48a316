"""Faults of nodes: tried elsewhere, confirmed or cleared, and a node set aside after three in a row."""

from __future__ import annotations

import pytest

from orograph.infra.engines.node_health import NodeHealth, may_belong_to_node
from orograph.infra.engines.schedule import Policy, Schedule
from orograph.pipeline.errors import (
    EngineError,
    GridMissing,
    OrographError,
    OutsideCoverage,
    SourceMissing,
    WorkerLost,
)
from tests.support.worlds import make_job

MISSING = SourceMissing("there is no such file", source="/made.tif")


@pytest.mark.parametrize(
    ("error", "href", "expected"),
    [
        (MISSING, "/made.tif", True),
        (SourceMissing("gone", source="made"), "/mnt/made.tif", True),
        (SourceMissing("gone", source="made"), "https://host.example/made.tif", False),
        (SourceMissing("gone", source="s3://bucket/made.tif"), "s3://bucket/made.tif", False),
        (GridMissing("no grid"), "s3://bucket/made.tif", True),
        (EngineError("RuntimeError: CUDA error: no device"), "s3://bucket/made.tif", True),
        (OutsideCoverage("sea"), "/made.tif", False),
        (WorkerLost("killed"), "/made.tif", False),
    ],
)
def test_faults_of_a_node_are_told_from_faults_of_a_tile(error: OrographError, href: str, expected: bool) -> None:
    assert may_belong_to_node(error, make_job(href=href)) is expected


def test_three_confirmed_faults_set_a_node_aside_and_name_it() -> None:
    health = NodeHealth()
    health.seen("bad", "host-7 (10.0.0.7, node bad)")
    for tile in "abc":
        health.fault("bad", tile, MISSING)
    assert not health.takes_new("bad"), "suspended until the faults are settled"
    assert health.passed("good", "a", ("bad",)) == ()
    assert health.passed("good", "b", ("bad",)) == ()
    assert health.passed("good", "c", ("bad",)) == ("bad",)
    assert "host-7" in health.aside["bad"]
    assert "there is no such file" in health.aside["bad"]
    assert health.takes_new("good")


def test_success_in_between_and_faults_of_the_tile_do_not_count() -> None:
    health = NodeHealth()
    health.fault("one", "a", MISSING)
    health.fault("one", "b", MISSING)
    health.passed("one", "c", ())
    health.fault("one", "d", MISSING)
    assert health.takes_new("one")
    for tile in "xyz":
        health.fault("one", tile, MISSING)
        health.fault("two", tile, MISSING)
        health.cleared(tile)
    assert health.takes_new("one")
    assert health.takes_new("two")
    assert not health.aside


def test_starts_that_fail_in_a_row_set_a_node_aside() -> None:
    health = NodeHealth()
    error = GridMissing("no grid")
    assert not any(health.start_failed("only", "host-2", error, others=False) for _ in range(9))
    assert [health.start_failed("n", "host-3", error, others=True) for _ in range(3)] == [False, False, True]
    assert "GridMissing" in health.aside["n"]


def test_an_attempt_is_tried_on_every_other_node_and_does_not_count() -> None:
    schedule = Schedule(iter([make_job(0)]), Policy())
    first = schedule.next_attempt(0.0, node="one")
    assert first is not None
    schedule.elsewhere(first, "one")
    assert schedule.shunned() == {"one"}
    assert schedule.next_attempt(0.0, node="one") is None
    second = schedule.next_attempt(0.0, node="two", only_retries=True)
    assert second is not None
    assert (second.number, second.tried_on) == (1, ("one",))
    schedule.elsewhere(second, "two")
    schedule.release(frozenset({"one", "two", "three"}))
    assert schedule.next_attempt(0.0, node="one") is None
    schedule.release(frozenset({"one", "two"}))
    third = schedule.next_attempt(0.0, node="one")
    assert third is not None
    assert (third.number, third.tried_on) == (2, ())
    assert schedule.next_attempt(0.0, node="one") is None
