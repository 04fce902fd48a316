"""The index of bundled weights describes the files in the package."""

import hashlib

import pytest

from orograph.pipeline.core.bundled_weights import SHIPPED, shipped_index


@pytest.mark.parametrize("kind", ["superres", "bare-earth"])
def test_every_entry_names_a_file_with_its_digest(kind):
    entries = shipped_index(kind)
    assert entries
    for entry in entries.values():
        data = (SHIPPED / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]


def test_an_unknown_kind_has_no_entries():
    assert shipped_index("weather") == {}
