"""Device memory that runs out: the batch is halved until it fits, and heights stay those of one block at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.inference import BLOCK_PX
from tests.bench.gpu.context import Context, terrain
from tests.support import twin_device

SPARE_BLOCKS = 3


def measure(context: Context) -> None:
    """Leave room for three blocks, ask for eight at a time, and record the batch that is left and the differences."""
    if context.device == "cpu":
        context.record("left out", "the processor's memory is not limited")
        return
    coarse = terrain(BLOCK_PX, 8 * BLOCK_PX)
    name = "superres-xs"
    alone = resolver(name, device=context.device)
    expected, _ = alone(coarse)
    one = _one_block_bytes(context, alone, coarse)
    halved = resolver(name, device=context.device, batch=8)
    with _spare(context, SPARE_BLOCKS * one):
        found, _ = halved(coarse)
    batch = halved._batch
    context.record("bytes_per_block", one)
    context.record("batch", batch)
    context.record("max_m", float(np.nanmax(np.abs(found - expected))))
    context.record("ok", bool(1 <= batch < 8 and np.isfinite(found).all() and np.allclose(found, expected, atol=1e-3)))


def _one_block_bytes(context: Context, alone: object, coarse: np.ndarray) -> int:
    if context.device == twin_device.NAME:
        twin = twin_device.start()
        twin.twin_peak()
        before = twin.twin_used()
        alone(coarse[:, :BLOCK_PX])  # type: ignore[operator]
        return int(twin.twin_peak() - before)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    alone(coarse[:, :BLOCK_PX])  # type: ignore[operator]
    return torch.cuda.max_memory_allocated() - before


@contextlib.contextmanager
def _spare(context: Context, spare_bytes: int) -> Iterator[None]:
    """Within, this process may take so much more of the device."""
    if context.device == twin_device.NAME:
        with twin_device.limited(twin_device.start(), spare_bytes):
            yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + spare_bytes) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
