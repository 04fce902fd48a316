"""Files of this machine are their own paths."""

from pathlib import Path

from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.source_files import LocalFiles
from tests.support.worlds import SOURCE


def test_local_files_are_listed_and_opened_as_they_are_named():
    files = LocalFiles()
    assert files.listed("/data/*.tif", SOURCE) == ["/data/*.tif"]
    assert files.opened(FileRef(href="/data/a.tif", etag="e", size_bytes=1), SOURCE) == Path("/data/a.tif")
