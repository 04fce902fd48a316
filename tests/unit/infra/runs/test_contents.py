"""Content of local files goes into the manifest, and a change under an unchanged identity is noticed."""

import hashlib
from dataclasses import replace

import pytest

from orograph.infra.runs.contents import with_contents
from orograph.pipeline.errors import SourceChanged, SourceMissing
from tests.support.worlds import make_job, make_result


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "made.tif"
    path.write_bytes(b"heights")
    job = make_job(href=str(path))
    return path, job, make_result(job, tmp_path / "out")


def test_a_local_file_is_hashed(made):
    path, _, result = made
    (ref,) = with_contents(result, {"made": [path]}).draft["sources"]
    assert ref.files[0].sha256 == hashlib.sha256(b"heights").hexdigest()


def test_another_content_than_the_index_knows_is_an_error(made):
    path, job, result = made
    ref = job.sources[0]
    known = ref.model_copy(update={"files": (ref.files[0].model_copy(update={"sha256": "0" * 64}),)})
    with pytest.raises(SourceChanged, match="although size"):
        with_contents(replace(result, job=replace(job, sources=(known,))), {"made": [path]})


def test_a_file_that_is_gone_is_named(made):
    path, _, result = made
    path.unlink()
    with pytest.raises(SourceMissing) as caught:
        with_contents(result, {"made": [path]})
    assert caught.value.source == str(path)
