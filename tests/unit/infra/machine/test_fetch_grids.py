"""Grids are fetched to a temporary file, hashed, and only then given their name."""

import http.server
import threading

import pytest

from orograph.infra.machine.fetch_grids import fetch_grids
from orograph.pipeline.errors import GridCorrupt, GridMissing, SourceMissing, SourceUnavailable
from orograph.pipeline.vertical import VerticalCatalogue

NAME = next(iter(VerticalCatalogue.load().grids))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status = {"wrong": 200, "busy": 503}.get(self.path.split("/")[1], 404)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"other bytes")

    def log_message(self, *_args):
        """Keep the tests' output clean."""


@pytest.fixture(scope="module")
def server():
    made = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()


@pytest.mark.parametrize(
    ("path", "error"), [("wrong", GridCorrupt), ("busy", SourceUnavailable), ("none", SourceMissing)]
)
def test_a_wrong_answer_leaves_no_file(server, tmp_path, path, error):
    with pytest.raises(error):
        fetch_grids((NAME,), tmp_path, url=f"{server}/{path}")
    assert list(tmp_path.iterdir()) == []


def test_only_grids_of_the_catalogue_are_fetched(tmp_path):
    with pytest.raises(GridMissing, match=r"none\.tif"):
        fetch_grids(("none.tif",), tmp_path)
    assert fetch_grids((), tmp_path / "made") == ()
