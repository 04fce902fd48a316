"""Local files by pattern: each folder is read once, and side-cars are those that `find_sidecars` finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from orograph.pipeline.sources.local_listing import local_sidecars, matching_files, named_files, sidecars_of
from orograph.pipeline.sources.sidecars import find_sidecars

BESIDE = (
    ("a.tif", ()),
    ("b.tif", ("b.tif.aux.xml", "b.tif.msk", "b.tfw")),
    ("c.TIF", ("c.TFW", "c.prj")),
    ("d.tif", ("d.prj", "d.shp")),
    ("e.tiff", ("e.tiffw", "e.wld")),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, sidecars in BESIDE:
        for one in (name, *sidecars):
            (tmp_path / one).write_text(one)
    (tmp_path / "stray.tfw").write_text("of no raster")
    (tmp_path / "gone.tif.msk").symlink_to(tmp_path / "nowhere")
    return tmp_path


@pytest.mark.parametrize("pattern", ["*[fF]", "**/*[fF]"])
def test_a_scan_finds_the_sidecars_that_each_file_has(folder, pattern):
    listing = matching_files(str(folder / pattern))
    assert [Path(path).name for path in listing.paths] == ["a.tif", "b.tif", "c.TIF", "d.tif", "e.tiff"]
    for path in listing.paths:
        assert [one.href for one in sidecars_of(listing.sidecars.get(path))] == list(find_sidecars(path))
        assert listing.sidecars.get(path) == local_sidecars(path)


def test_states_and_sidecars_of_named_files_are_those_of_a_scan(folder):
    scanned = matching_files(str(folder / "[ab].tif"))
    named = named_files(scanned.paths, "x")
    assert (named.paths, named.sidecars) == (scanned.paths, scanned.sidecars)
    assert (named.states == scanned.states).all()


def test_a_pattern_in_a_missing_folder_matches_nothing(tmp_path):
    assert matching_files(str(tmp_path / "none" / "*.tif")).paths == []
