"""Side-cars of remote files are asked for by name, unless the source has none."""

from orograph.pipeline.errors import SourceMissing
from orograph.pipeline.sources.catalogue import CellTemplate
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.remote_sidecars import remote_sidecars
from tests.support.worlds import SOURCE

HREF = "https://host/a.tif"


def asked_for(source):
    asked = []

    def probe(href, _source):
        asked.append(href)
        if not href.endswith(".aux.xml"):
            raise SourceMissing("none")
        return FileRef(href=href, etag="e", size_bytes=1)

    return [ref.href for ref in remote_sidecars(HREF, source, probe)], asked


def test_those_that_are_there_come_back():
    found, asked = asked_for(SOURCE)
    assert found == [f"{HREF}.aux.xml"]
    assert len(asked) > 1


def test_sources_without_side_cars_cost_no_request():
    assert asked_for(SOURCE.model_copy(update={"sidecars": False})) == ([], [])
    cells = SOURCE.model_copy(update={"data": CellTemplate(kind="cells", href="https://host/{id}.tif")})
    assert asked_for(cells) == ([], [])
    assert asked_for(cells.model_copy(update={"sidecars": True}))[0]
