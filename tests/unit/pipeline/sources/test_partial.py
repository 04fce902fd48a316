"""A local path is complete; a sparse copy brings in the blocks of a window first."""

from pathlib import Path

from orograph.pipeline.sources.partial import ensure, path_of


class Sparse:
    path = Path("/scratch/copy.tif")
    href = "https://host/a.tif"

    def __init__(self):
        self.asked = []

    def ensure(self, *window):
        self.asked.append(window)


def test_only_sparse_copies_are_asked_for_blocks():
    sparse = Sparse()
    for file in (Path("/data/a.tif"), sparse):
        ensure(file, 1, 2, 3, 4, (10, 20))
    assert sparse.asked == [(1, 2, 3, 4, (10, 20))]
    assert [path_of(file) for file in (Path("/data/a.tif"), sparse)] == [Path("/data/a.tif"), Sparse.path]
