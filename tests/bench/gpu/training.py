"""Training of L with the time that is left: seconds per step, what it reached on a held-out site, and its weights."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np

from orograph.pipeline.learning.superres.dataset import GridLevel, Site, SiteSpec
from orograph.pipeline.learning.superres.train import Trainer
from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.learning.superres.validate import TrainingValidation
from orograph.pipeline.sources.catalogue import Thinning
from tests.bench.gpu.accuracy import raster
from tests.bench.gpu.context import Context, terrain

LEVELS = (GridLevel(weight=2), GridLevel(rows=2, columns=2, thinning=Thinning.AVERAGED), GridLevel(rows=1, columns=2))
RESERVE_S = 15.0
"""Kept for validation and export."""


def measure(context: Context) -> None:
    """Time a few steps, plan as many as fit, train, validate on the site that was held out, and export."""
    sites, held_out = _sites(context)
    preset, batch, patch = ("XS", 2, 16) if context.small else ("L", 32, 64)
    base = {"preset": preset, "batch": batch, "patch_px": patch, "margin_px": 3 if context.small else 8}
    precision = "fp32" if context.small else "bf16"
    with tempfile.TemporaryDirectory() as folder:
        probe = Trainer(
            TrainingPlan(**base, steps=12, warmup=2, precision=precision), sites, Path(folder) / "probe", context.device
        )
        probe.run(until=2)
        begun = time.perf_counter()
        probe.run(until=4 if context.small else 12)
        context.wait()
        step_s = (time.perf_counter() - begun) / (probe.step - 2)
        steps = 4 if context.small else int(0.85 * (context.left_s - RESERVE_S) / step_s)
        context.record("seconds_per_step", step_s)
        context.record("plan", {**base, "steps": steps, "precision": precision})
        if steps < 4:
            context.record("left out", f"{context.left_s:.0f} s are left, a step takes {step_s:.2f} s")
            return
        plan = TrainingPlan(**base, steps=steps, warmup=min(200, steps // 4), decay_from=0.3, precision=precision)
        trainer = Trainer(plan, sites, Path(folder) / "run", context.device)
        # A step may slow down: the end is that of the clock, and what is averaged by then is kept.
        while trainer.step < steps and context.left_s > RESERVE_S / 2:
            trainer.run(every=steps, until=min(steps, trainer.step + 20))
        context.record("steps_done", trainer.step)
        context.record(
            "validation", {k: float(v) for k, v in TrainingValidation([held_out], 3)(trainer.average).items()}
        )
        about = {"sites": [site.spec.name for site in sites]}
        digest = trainer.export(context.folder / "trained-l.safetensors", about)
        context.record("sha256", digest)


def _sites(context: Context) -> tuple[list[Site], Site]:
    listed = context.rasters / "training.json"
    names = json.loads(listed.read_text()) if listed.exists() else []
    sites = [site for name in names if (site := _site(name, raster(context.rasters / f"{name}.tif"))) is not None]
    if len(sites) < 2:
        context.record("terrain", "made: what is reached says nothing")
        side = 240 if context.small else 1500
        sites = [_made(f"made-{seed}", terrain(side, side, seed)) for seed in range(3)]
    return sites[:-1], sites[-1]


def _site(name: str, heights: np.ndarray | None) -> Site | None:
    return None if heights is None else _made(name, heights)


def _made(name: str, heights: np.ndarray) -> Site:
    valid = np.isfinite(heights)
    filled = np.where(valid, heights, np.nanmean(heights)).astype(np.float32)
    spec = SiteSpec(name=name, file=f"{name}.tif", licence="as bundled", attribution="as bundled", levels=LEVELS)
    return Site(spec, (filled,), (valid,))
