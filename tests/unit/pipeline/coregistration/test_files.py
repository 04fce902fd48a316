"""Rasters, samples and JSON of a coregistration."""

import json

import numpy as np
import pytest
import rasterio

from orograph.pipeline.coregistration import files
from orograph.pipeline.coregistration.files import sample_of, write_json, write_rasters
from orograph.pipeline.coregistration.grids import choose_grid
from orograph.pipeline.coregistration.prepare import prepare_pair
from tests.support.pairs import coregistration_of, plane_raster

REFERENCE = plane_raster(60, 50)
MOVING = REFERENCE.with_heights(REFERENCE.heights_m - np.float32(2))


def test_aligned_heights_and_field_are_written_on_the_grid(tmp_path):
    MOVING.heights_m[30, 20] = np.nan
    pair = prepare_pair(REFERENCE, MOVING)
    result = coregistration_of(REFERENCE.geobox, up_m=2.0)
    write_rasters(tmp_path, pair, result, choose_grid(pair))
    with rasterio.open(tmp_path / "aligned.tif") as file:
        heights = file.read(1, masked=True)
        assert file.transform == REFERENCE.geobox.affine
        assert file.nodata == -32768
        assert file.crs.to_epsg() == 3035
    assert heights.mask.sum() == 1
    assert heights.mask[30, 20]
    np.testing.assert_allclose(heights.filled(0), np.where(heights.mask, 0, REFERENCE.heights_m), atol=2e-3)
    with rasterio.open(tmp_path / "field.tif") as file:
        assert file.descriptions == ("east", "north", "up")
        np.testing.assert_allclose(file.read(), [[[0.0]], [[0.0]], [[2.0]]] * np.ones((3, 60, 50)), atol=1e-6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aligned.tif", "field.tif"]


@pytest.mark.parametrize("step", [1, 3])
def test_a_sample_has_differences_before_and_after(monkeypatch, step):
    monkeypatch.setattr(files, "sampling_step", lambda _shape: step)
    moving = REFERENCE.with_heights(REFERENCE.heights_m - np.float32(2))
    inliers = np.zeros((60, 50), bool)
    inliers[:30] = True
    pair = prepare_pair(REFERENCE, moving, inliers)
    sample = sample_of(pair, coregistration_of(REFERENCE.geobox, up_m=2.0))
    assert sample.geobox.shape.shape == sample.before_m.shape == (-(-60 // step), -(-50 // step))
    np.testing.assert_allclose(sample.before_m, 2.0, atol=2e-3)
    np.testing.assert_allclose(sample.after_m, 0.0, atol=2e-3)
    np.testing.assert_array_equal(sample.stable, inliers[::step, ::step])
    np.testing.assert_array_equal(sample.reference_m, REFERENCE.heights_m[::step, ::step])


def test_json_with_not_a_number_is_never_written(tmp_path):
    write_json(tmp_path / "a.json", {"höhe": 1.5, "none": None})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"höhe": 1.5, "none": None}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "b.json", {"a": float("nan")})
    assert not (tmp_path / "b.json").exists()
