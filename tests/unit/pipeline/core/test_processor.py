"""Cores and instruction set of the processor."""

import os

import pytest

from orograph.pipeline.core import processor


def test_cores_are_those_of_the_affinity_mask():
    assert processor.usable_cores() == len(os.sched_getaffinity(0))


def test_affinity_limits_the_cores():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert processor.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_without_affinity_all_cores_count(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert processor.usable_cores() == os.cpu_count()


@pytest.mark.parametrize("value", ["", "avx2"])
def test_only_caps_with_a_value_are_listed(monkeypatch, value):
    for name in processor.CAPS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", value)
    assert processor.instruction_caps() == (("ATEN_CPU_CAPABILITY=avx2",) if value else ())


def test_the_instruction_set_is_one_word():
    name = processor.instruction_set()
    assert name
    assert name == name.upper().replace(" ", "")
