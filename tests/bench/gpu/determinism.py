"""Repeated runs on the device: the same bits, and which of them survive another batch."""

from __future__ import annotations

import hashlib

import numpy as np

from orograph.pipeline.bare_earth.remove import bare_earth
from orograph.pipeline.superres import resolver
from tests.bench.gpu.context import Context, terrain
from tests.bench.gpu.coregistration import _pair

RUNS = 3


def measure(context: Context) -> None:
    """Record whether repeated runs agree bit for bit, and how far other batches are from a batch of one."""
    side = 130 if context.small else 1000
    coarse, runs = terrain(side, side), 2 if context.small else RUNS
    name = "superres-xs" if context.small else "superres-s"
    made = {
        batch: [resolver(name, device=context.device, batch=batch)(coarse)[0] for _ in range(runs)] for batch in (1, 8)
    }
    for batch, heights in made.items():
        context.record(f"{name} batch {batch} repeats", len({_digest(plane) for plane in heights}) == 1)
    context.record("batch 8 less batch 1, max m", float(np.nanmax(np.abs(made[8][0] - made[1][0]))))
    grounds = [bare_earth(coarse, 2.0, "bare-earth-2m", device=context.device).heights_m for _ in range(runs)]
    context.record("bare-earth-2m repeats", len({_digest(plane) for plane in grounds}) == 1)
    from orograph.pipeline.coregistration import fit

    reference, moving = _pair(200 if context.small else 1500)
    fields = [fit(reference, moving, device=context.device).field.polynomial for _ in range(runs)]
    context.record("coregistration repeats", len({_digest(field) for field in fields}) == 1)


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
