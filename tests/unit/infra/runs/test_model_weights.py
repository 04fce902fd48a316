"""User-supplied weights are named by their content and read from memory or the run's store, never from a hidden place."""

import hashlib

import pytest

from orograph.infra.runs.model_weights import (
    WeightsReader,
    keep_models,
    model_key,
    named_by_content,
    stored_weights_reader,
    weights_reader,
)
from orograph.infra.stores.open import open_store
from orograph.pipeline.errors import SourceMissing
from orograph.pipeline.settings import ProcessingSettings, RunSettings

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_weights_in_a_file_are_named_by_their_content(tmp_path):
    path = tmp_path / "own.safetensors"
    path.write_bytes(CONTENT)
    settings, weights = named_by_content(ProcessingSettings(superres=str(path)), RunSettings())
    assert settings.superres == f"sha256:{DIGEST}"
    assert settings.bare_earth == "none"
    assert weights == {DIGEST: CONTENT}
    assert named_by_content(settings, RunSettings()) == (settings, {})


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(SourceMissing):
        named_by_content(ProcessingSettings(superres=str(tmp_path / "gone.safetensors")), RunSettings())


def test_every_worker_reads_the_weights_of_the_store(tmp_path):
    run = RunSettings(store=str(tmp_path / "store"))
    store = open_store(run.store)
    keep_models(store, {DIGEST: CONTENT})
    keep_models(store, {DIGEST: CONTENT})
    assert store.get(model_key(DIGEST)) == CONTENT
    assert stored_weights_reader(run)(f"sha256:{DIGEST}") == CONTENT
    with pytest.raises(SourceMissing, match="does not contain models/0000"):
        stored_weights_reader(run)("sha256:" + "00" * 32)


def test_weights_at_hand_come_before_the_store_and_without_either_it_is_an_error():
    assert WeightsReader(at_hand={DIGEST: CONTENT})(f"sha256:{DIGEST}") == CONTENT
    with pytest.raises(SourceMissing, match="no store"):
        weights_reader(RunSettings())(f"sha256:{DIGEST}")


def test_equal_readers_share_the_loaded_models():
    assert WeightsReader(store="a", at_hand={DIGEST: CONTENT}) == WeightsReader(store="a")
    assert hash(WeightsReader(store="a")) == hash(WeightsReader(store="a"))
    assert WeightsReader(store="a") != WeightsReader(store="b")
