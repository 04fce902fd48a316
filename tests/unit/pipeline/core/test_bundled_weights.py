"""The index of bundled weights describes the files in the package."""

import hashlib

import pytest

from orograph.pipeline.core.bundled_weights import BUNDLED, bundled_index


@pytest.mark.parametrize("kind", ["superres", "bare-earth", "sensor-net"])
def test_every_entry_names_a_file_with_its_digest(kind):
    entries = bundled_index(kind)
    assert entries
    for entry in entries.values():
        data = (BUNDLED / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]


def test_an_unknown_kind_has_no_entries():
    assert bundled_index("weather") == {}
