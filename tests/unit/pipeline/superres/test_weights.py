"""Weights are proven before they are used."""

from __future__ import annotations

import pytest

from orograph.pipeline.core.bundled_weights import BUNDLED, bundled_index
from orograph.pipeline.errors import ModelError, SourceMissing
from orograph.pipeline.superres.weights import load_weights
from tests.support.superres_fixtures import made_weights


def test_a_file_is_read_and_its_digest_checked(tmp_path):
    path = tmp_path / "tiny.safetensors"
    digest = made_weights(path)
    assert load_weights(str(path)).sha256 == digest
    assert load_weights(f"{path}#sha256={digest}").plan["preset"] == "XS"
    with pytest.raises(ModelError, match="expected 00"):
        load_weights(f"{path}#sha256={'00' * 32}")


def test_a_url_needs_a_digest_and_a_reader(tmp_path):
    path = tmp_path / "tiny.safetensors"
    digest = made_weights(path)
    url = "s3://models/tiny.safetensors"
    with pytest.raises(ModelError, match="sha256"):
        load_weights(url, fetch=lambda _: path.read_bytes())
    assert load_weights(f"{url}#sha256={digest}", fetch=lambda _: path.read_bytes()).sha256 == digest
    with pytest.raises(ModelError, match="have sha256"):
        load_weights(url, sha256=digest, fetch=lambda _: path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("name", ["net.pt", "net.pth", "net.pkl", "net.bin", "no-such-model"])
def test_pickled_formats_and_unknown_names_are_refused(name):
    with pytest.raises(ModelError, match="neither"):
        load_weights(name)


def test_absent_and_damaged_files_say_so(tmp_path):
    with pytest.raises(SourceMissing):
        load_weights(str(tmp_path / "gone.safetensors"))
    damaged = tmp_path / "damaged.safetensors"
    made_weights(damaged)
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(ModelError, match="do not parse"):
        load_weights(str(damaged))


def test_what_ships_has_its_pinned_digest_and_fits():
    for name in bundled_index("superres"):
        assert load_weights(name).sha256 == bundled_index("superres")[name]["sha256"]
        assert (BUNDLED / f"{name}.md").exists(), "every model has a card"
    assert sum(path.stat().st_size for path in BUNDLED.glob("*.safetensors")) <= 8_000_000
