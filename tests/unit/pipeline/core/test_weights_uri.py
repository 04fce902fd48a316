"""Names of weights: what a pin is, and that a pinned name means one content for ever."""

from __future__ import annotations

import hashlib

import pytest

from orograph.pipeline.core.weights_uri import by_content, is_content, is_own, parted, pinned
from orograph.pipeline.errors import ConfigError, SourceMissing

DIGEST = "ab" * 32


def test_a_name_comes_apart():
    assert parted("superres-s") == ("superres-s", None)
    assert parted(f"a/b.safetensors#sha256={DIGEST.upper()}") == ("a/b.safetensors", DIGEST)
    assert parted(by_content(DIGEST)) == (f"sha256:{DIGEST}", DIGEST)


@pytest.mark.parametrize("name", ["none", "keys6", "superres-s", "auto", "opening", f"sha256:{DIGEST}"])
def test_names_that_need_no_pin_stay(name):
    assert pinned(name) == name


def test_a_file_is_pinned_by_what_it_holds_now(tmp_path, monkeypatch):
    path = tmp_path / "own.safetensors"
    path.write_bytes(b"first")
    monkeypatch.chdir(tmp_path)
    first = pinned("own.safetensors")
    assert first == f"{path}#sha256={hashlib.sha256(b'first').hexdigest()}"
    assert pinned(first) == first
    path.write_bytes(b"second")
    assert pinned("own.safetensors") != first
    with pytest.raises(ConfigError, match="expected"):
        pinned(first)
    path.unlink()
    with pytest.raises(SourceMissing, match="no weights"):
        pinned("own.safetensors")


def test_a_url_must_say_what_it_holds():
    with pytest.raises(ConfigError, match="not pinned") as caught:
        pinned("s3://models/own.safetensors")
    assert "#sha256=" in caught.value.remedy
    assert pinned(f"s3://models/own.safetensors#sha256={DIGEST}").endswith(DIGEST)


def test_whose_weights_they_are():
    assert is_own("a.safetensors")
    assert is_own(by_content(DIGEST))
    assert is_content(by_content(DIGEST))
    assert not is_own("superres-s")
