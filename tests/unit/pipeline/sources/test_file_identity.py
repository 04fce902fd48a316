"""A local file is identified without reading it, and a change is noticed."""

import hashlib
import os

import pytest

from orograph.pipeline.errors import SourceChanged, SourceMissing
from orograph.pipeline.sources.file_identity import check_local, file_state, local_ref


def test_a_change_of_size_or_time_is_noticed(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"one")
    ref = local_ref(path)
    assert ref.size_bytes == 3
    assert ref.etag == file_state(path).etag
    check_local(ref, path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(SourceChanged, match="planned as") as caught:
        check_local(ref, path)
    assert caught.value.source == str(path)


def test_a_digest_compares_the_content(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"one")
    ref = local_ref(path).model_copy(update={"etag": f"sha256:{hashlib.sha256(b'one').hexdigest()}"})
    os.utime(path, ns=(1, 1))
    check_local(ref, path)
    path.write_bytes(b"two")
    with pytest.raises(SourceChanged):
        check_local(ref, path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SourceMissing):
        local_ref(tmp_path / "none.tif")
