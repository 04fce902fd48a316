"""Windows, layers and lengths in pixels."""

import numpy as np
import pytest

from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.tile.stages import STAGES, Context, Layer, TileWindow

TILE = Tile(4000, 3000)
CORE = PixelWindow(10, 20, 4, 6)
WINDOW = TileWindow(CORE, 3, CORE.geobox(TILE.geobox(10), 3))


def test_the_inner_part_is_the_core_and_some_of_the_halo():
    values = np.arange(120).reshape(WINDOW.shape)
    assert WINDOW.shape == (10, 12)
    np.testing.assert_array_equal(WINDOW.inner(values), values[3:7, 3:9])
    np.testing.assert_array_equal(WINDOW.inner(values, 1), values[2:8, 2:10])
    np.testing.assert_array_equal(WINDOW.inner(values, 3), values)


def test_evolving_leaves_the_window_as_it_was():
    changed = WINDOW.evolve(heights_m=np.zeros(WINDOW.shape, np.float32))
    assert WINDOW.heights_m is None
    assert changed.heights_m is not None
    assert changed.core is CORE


def test_a_layer_is_valid_where_it_has_a_height():
    layer = Layer(1, np.array([[1, np.nan]], np.float32), 0.5)
    np.testing.assert_array_equal(layer.valid, [[True, False]])


@pytest.mark.parametrize(("length_m", "pixels"), [(0.0, 0), (10.0, 1), (10.1, 2), (95.0, 10)])
def test_lengths_are_whole_pixels_rounded_up(length_m, pixels):
    job = Job(TILE, (), ProcessingSettings())
    assert Context(job, reader=None).pixels(length_m) == pixels  # type: ignore[arg-type]


def test_every_stage_is_registered_under_its_name():
    assert all(stage.name == name for name, stage in STAGES.items())
