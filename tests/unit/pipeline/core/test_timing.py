"""Seconds add up by stage."""

import time

import pytest

from orograph.pipeline.core.timing import StageClock


def test_seconds_of_a_stage_add_up_and_waiting_costs_no_cpu():
    clock = StageClock()
    for _ in range(2):
        with clock.of("wait"):
            time.sleep(0.02)
    assert clock.seconds["wait"] >= 0.04
    assert 0 <= clock.cpu_seconds["wait"] < clock.seconds["wait"]


def test_a_stage_that_fails_is_timed():
    clock = StageClock()
    with pytest.raises(KeyError), clock.of("fails"):
        raise KeyError
    assert clock.seconds.keys() == clock.cpu_seconds.keys() == {"fails"}


def test_clocks_share_nothing():
    with StageClock().of("a"):
        pass
    assert StageClock().seconds == {}
