"""Tiles and cells are work of one kind to engines."""

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.core.runnable import Runnable
from orograph.pipeline.exports.cell_job import CellJob, CellSettings
from tests.support.worlds import make_job


def test_both_kinds_of_job_have_an_id_and_keys():
    jobs: list[Runnable] = [make_job(), CellJob(Cell(47, 10), (), CellSettings())]
    for job in jobs:
        assert job.prefix == f"tiles/{job.id}/{job.run_key}"
        assert job.manifest_key == f"{job.prefix}/manifest.json"
        assert len(job.run_key) == 32
    assert [job.id for job in jobs] == [jobs[0].tile.id, "N47E010"]
