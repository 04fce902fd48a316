"""Super-resolution of files: grid, windows, errors."""

import numpy as np
import pytest
import rasterio

from orograph.pipeline.errors import AllVoid, ConfigError, SourceMissing
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres import file as module
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.file import superresolve_file
from tests.support.superres_fixtures import hills
from tests.support.tiffs import write_heights

MODE = Thinning.DECIMATED


def test_windows_give_the_bits_of_the_whole_on_a_finer_grid(tmp_path, monkeypatch):
    heights = hills(70, 50)
    heights[10:13, 20:22] = -9999.0
    source = write_heights(tmp_path / "a.tif", heights)
    whole = superresolve_file(source, tmp_path / "whole.tif", resolver("keys6"), 3, MODE)
    monkeypatch.setattr(module, "WINDOW_PX", 32)
    superresolve_file(source, tmp_path / "parts.tif", resolver("keys6"), 3, MODE)
    with rasterio.open(tmp_path / "whole.tif") as one, rasterio.open(tmp_path / "parts.tif") as other:
        values = one.read(1, masked=True)
        np.testing.assert_array_equal(other.read(1), values.data)
        assert one.transform.a == pytest.approx(10 / 3)
        assert one.tags()["OROGRAPH_MODEL"] == "keys6"
        assert one.descriptions == ("elevation", "interpolation error")
        np.testing.assert_array_equal(other.read(2), one.read(2))
    assert whole.shape == values.shape == (210, 150)
    assert whole.band == "interpolation error"
    np.testing.assert_array_equal(values.mask, np.kron(heights == -9999.0, np.ones((3, 3))).astype(bool))
    np.testing.assert_allclose(values[1::3, 1::3].compressed(), heights[heights != -9999.0], atol=1e-3)


def test_the_accuracy_of_the_source_makes_it_a_standard_error(tmp_path):
    source = write_heights(tmp_path / "a.tif", np.full((20, 20), 5.0))
    report = superresolve_file(source, tmp_path / "b.tif", resolver("keys6"), 3, MODE, accuracy_m=0.4)
    assert report.band == "standard error"
    assert report.median_sigma_m == pytest.approx(0.4)


def test_wrong_inputs_are_typed_errors_and_leave_nothing(tmp_path):
    source = write_heights(tmp_path / "void.tif", np.full((20, 20), -9999.0))
    for path, target, error in (
        (source, tmp_path / "out.tif", AllVoid),
        (source, source, ConfigError),
        (tmp_path / "none.tif", tmp_path / "out.tif", SourceMissing),
    ):
        with pytest.raises(error):
            superresolve_file(path, target, resolver("keys6"), 3, MODE)
    assert [path.name for path in tmp_path.iterdir()] == ["void.tif"]
