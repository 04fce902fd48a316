"""One tile from files to products: known heights, empty tiles, void sources."""

import numpy as np
import pytest
import rasterio

from orograph.pipeline.core.timing import StageClock
from orograph.pipeline.errors import AllVoid, OutsideCoverage
from orograph.pipeline.job import Job
from orograph.pipeline.tile.run import estimate_alignment, run_tile
from tests.support.made import terrain, write_source
from tests.support.planned import BOUNDS_M, TILE, job_of, paths_of


def test_products_have_the_heights_of_the_terrain(tmp_path):
    job = job_of(tmp_path, fill_max_m=0.0)
    steps, clock = [], StageClock()
    result = run_tile(
        job, paths_of(job), tmp_path, grids_dir=tmp_path, progress=lambda *step: steps.append(step), clock=clock
    )
    names = {product.info.name: product.path for product in result.products}
    assert set(names) == {"elevation", "source_index", "uncertainty", "hillshade", "thumbnail"}
    with rasterio.open(names["elevation"]) as file:
        heights = file.read(1, masked=True)
        rows, cols = np.nonzero(~heights.mask)
        east, north = file.transform @ (cols + 0.5, rows + 0.5)
    assert heights.count() == pytest.approx(3600, abs=130)
    error = heights.compressed() - terrain(east, north)
    assert np.sqrt(np.mean(error**2)) < 4.0
    assert result.draft["quality"].source_fractions["made"] == pytest.approx(heights.count() / heights.size)
    assert steps[-1] == ("export", 1.0)
    assert {"open", "coregister", "write", "export"} <= set(clock.seconds)


def test_a_tile_without_sources_is_outside_coverage(tmp_path):
    job = job_of(tmp_path)
    with pytest.raises(OutsideCoverage) as caught:
        run_tile(Job(TILE, (), job.settings), {}, tmp_path, grids_dir=tmp_path)
    assert caught.value.tile == TILE.id


def test_void_sources_leave_no_product(tmp_path):
    write_source(tmp_path / "made.tif", "EPSG:3035", BOUNDS_M, 50, hole=(slice(None), slice(None)))
    job = job_of(tmp_path)
    with pytest.raises(AllVoid, match="every pixel is void"):
        run_tile(job, paths_of(job), tmp_path, grids_dir=tmp_path)
    assert [path.name for path in tmp_path.glob("*elevation*")] == []


def test_the_only_source_is_the_reference(tmp_path):
    job = job_of(tmp_path)
    (record,) = estimate_alignment(job, paths_of(job), grids_dir=tmp_path)
    assert (record.source, record.status) == ("made", "reference")
