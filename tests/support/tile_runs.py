"""Whole runs of tiles on made sources: plan, make, commit, publish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from orograph.infra.engines.make import make_engine
from orograph.infra.runs.request import Request
from orograph.infra.runs.run import execute_plan, summarise
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from tests.support.made import write_catalogue

TILE = "E4200N3000"
SETTINGS = ProcessingSettings(pixel_size_m=50.0)


def run(folder: Path, *sources, settings=SETTINGS, tiles=(TILE,), **flags):
    """Plan and run tiles into a store in the folder; the plan, the outcomes and the exit code."""
    run_settings = RunSettings.with_flags(store=str(folder / "store"), grids_dir=folder / "grids", **flags)
    listed = write_catalogue(folder / "catalogue.yaml", *sources)
    plan = Request(catalogue=listed, tiles=tuple(tiles)).plan(settings, run_settings)
    outcomes = execute_plan(plan, make_engine(run_settings), run_settings, as_json=True)
    return plan, outcomes, summarise(outcomes, plan, run_settings, as_json=True)


def read_products(store: Path, manifest: Manifest, *names: str) -> list[np.ma.MaskedArray]:
    """Rasters of a tile by the names of its products."""
    found = []
    for name in names:
        with rasterio.open(store / manifest.asset(name).key) as dataset:
            found.append(dataset.read(1, masked=True))
    return found
