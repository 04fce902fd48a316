"""A tile's sources on its grid: known heights, windows without data, closed files."""

import numpy as np
import pytest

from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.errors import SourceMissing
from orograph.pipeline.tile.assembly import TileAssembly
from tests.support.made import terrain
from tests.support.planned import job_of, paths_of

INSIDE = PixelWindow(250, 110, 20, 30)


def box_of(job, window):
    return window.geobox(job.tile.geobox(job.settings.pixel_size_m), 0)


def test_layers_have_the_heights_of_the_terrain(tmp_path):
    job = job_of(tmp_path)
    box = box_of(job, INSIDE)
    with TileAssembly(job, paths_of(job), tmp_path) as assembly:
        (layer,) = assembly.layers(box)
        assert assembly.bytes_read > 0
    rows, cols = np.mgrid[0:20, 0:30] + 0.5
    east, north = box.affine @ (cols, rows)
    np.testing.assert_allclose(layer.heights_m, terrain(east, north), atol=6.0)
    assert layer.index == 1


def test_a_window_without_data_has_no_layer(tmp_path):
    job = job_of(tmp_path)
    with TileAssembly(job, paths_of(job), tmp_path) as assembly:
        assert assembly.layers(box_of(job, PixelWindow(0, 400, 20, 20))) == ()
        assert assembly.rejected == []


def test_a_missing_file_is_a_typed_error(tmp_path):
    job = job_of(tmp_path)
    with pytest.raises(SourceMissing):
        TileAssembly(job, {"made": [tmp_path / "none.tif"]}, tmp_path)
