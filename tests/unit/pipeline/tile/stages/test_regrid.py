"""Regrid fills the layers of a window from the tile's sources."""

from dataclasses import replace

import numpy as np

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.tile.assembly import TileAssembly
from orograph.pipeline.tile.stages import Context, TileWindow
from orograph.pipeline.tile.stages.regrid import Regrid
from tests.support.planned import job_of, paths_of


def test_layers_are_on_the_grid_of_the_window(tmp_path):
    job = job_of(tmp_path)
    core = PixelWindow(250, 110, 30, 40)
    window = TileWindow(core, 2, core.geobox(job.tile.geobox(job.settings.pixel_size_m), 2))
    with TileAssembly(job, paths_of(job), tmp_path) as assembly:
        made = Regrid()(window, Context(job, assembly))
    (layer,) = made.layers
    assert layer.heights_m.shape == window.shape == (34, 44)
    assert np.isfinite(layer.heights_m).all()
    assert window.layers == ()


def test_it_looks_around_nowhere_and_costs_more_with_every_source(tmp_path):
    job = job_of(tmp_path)
    assert Regrid().halo_px(job) == 0
    one = Regrid().peak_bytes((100, 50), job)
    two = Regrid().peak_bytes((100, 50), replace(job, sources=job.sources * 2))
    assert two - one == 100 * 50 * 4
    assert one == 100 * 50 * 4 * 9
