"""A job's identity follows what changes heights, and nothing else."""

import pickle
from dataclasses import replace

import pytest

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.refs import ThinningCheck
from tests.support.worlds import make_job

JOB = make_job()


def with_source(**changes):
    ref = JOB.sources[0]
    return replace(JOB, sources=(ref.model_copy(update={"source": ref.source.model_copy(update=changes)}),))


@pytest.mark.parametrize("changes", [{"title": "Other"}, {"attribution": "others"}, {"licence": "CC-BY-4.0"}])
def test_names_and_licences_change_no_height_and_no_key(changes):
    assert with_source(**changes).run_key == JOB.run_key


@pytest.mark.parametrize("changes", [{"accuracy_m": 2.0}, {"vertical_frame": "EPSG:3855"}, {"nodata": (0.0,)}])
def test_heights_in_other_frames_have_another_key(changes):
    assert with_source(**changes).run_key != JOB.run_key


def test_the_key_follows_files_settings_tile_and_the_thinning_in_use():
    others = [
        make_job(etag="sha256:1"),
        make_job(1),
        replace(JOB, settings=JOB.settings.model_copy(update={"pixel_size_m": 50.0})),
        replace(
            JOB,
            sources=(
                JOB.sources[0].model_copy(update={"thinning_check": ThinningCheck(used=Thinning.DECIMATED, windows=1)}),
            ),
        ),
    ]
    assert len({JOB.run_key, *(job.run_key for job in others)}) == 5


def test_a_job_is_a_runnable_of_a_few_kilobytes():
    assert JOB.id == JOB.tile.id
    assert JOB.manifest_key == f"{JOB.prefix}/manifest.json"
    assert JOB.prefix == f"tiles/{JOB.tile.id}/{JOB.run_key}"
    assert pickle.loads(pickle.dumps(JOB)) == JOB  # noqa: S301 - our own bytes
    assert len(pickle.dumps(JOB)) < 8_000
