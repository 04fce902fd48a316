"""Batches on a device: results arrive whole and in any order, and two in flight give the heights of one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from orograph.pipeline.errors import OutOfMemory
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.device_batches import DeviceBatches
from orograph.pipeline.superres.inference import BLOCK_PX
from tests.support.superres_fixtures import hills, made_weights

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


@pytest.mark.parametrize("device", DEVICES)
def test_results_may_be_awaited_in_any_order(device):
    batches = DeviceBatches(device)
    windows = [np.full((2, 3), number, np.float32) for number in range(5)]
    started = [batches.start(one, lambda there: there * 2.0 + 1.0) for one in windows]
    for one, its in reversed(list(zip(windows, started, strict=True))):
        np.testing.assert_array_equal(its.wait(), 2.0 * one + 1.0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    made_weights(path)
    return str(path)


def in_flight(up, most, fits, monkeypatch):
    """Let a resolver have batches in flight, on a device whose memory takes `fits` blocks of them together."""
    flying = []
    start = up._batches.start

    def limited(windows, compute):
        if sum(flying) + len(windows) > fits:
            raise torch.OutOfMemoryError
        begun = start(windows, compute)
        wait, size = begun.wait, len(windows)
        flying.append(size)

        class Awaited:
            def wait(self):
                flying.remove(size)
                return wait()

        return Awaited()

    monkeypatch.setattr(up._batches, "in_flight", most)
    monkeypatch.setattr(up._batches, "start", limited)


@pytest.mark.parametrize(("batch", "fits", "left"), [(1, 9, 1), (2, 3, 2), (2, 2, 2), (2, 1, 1)])
def test_batches_in_flight_give_the_same_bits(weights, batch, fits, left, monkeypatch):
    coarse = hills(12, 3 * BLOCK_PX + 20)
    expected = resolver(weights)(coarse)
    up = resolver(weights, batch=batch)
    in_flight(up, 2, fits, monkeypatch)
    for mine, other in zip(up(coarse), expected, strict=True):
        np.testing.assert_array_equal(mine, other)
    assert up._batch == left, "a batch is halved only where it does not fit alone"


def test_memory_for_no_block_is_an_error_also_with_others_in_flight(weights, monkeypatch):
    up = resolver(weights, batch=2)
    in_flight(up, 2, 0, monkeypatch)
    with pytest.raises(OutOfMemory, match="no memory for one block"):
        up(hills(12, 2 * BLOCK_PX))
