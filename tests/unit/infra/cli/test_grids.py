"""`orograph grids`: listed, fetched and checked."""

from __future__ import annotations

import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.machine.fetch_grids import fetch_grids
from orograph.pipeline.errors import (
    GridCorrupt,
    GridMissing,
    SourceMissing,
    SourceUnavailable,
)

GRID = "hu_bme_geoid2014.tif"


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def cdn(tmp_path):
    """A server as the PROJ CDN is one, over a folder."""
    folder = tmp_path / "cdn"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path.endswith("lv_lgia_lv14.tif"):
                self.send_error(503)
            else:
                super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()
    thread.join()


class TestGrids:
    def test_fetching_checks_and_keeps(self, shared, cdn, tmp_path):
        folder, url = cdn
        (folder / GRID).write_bytes(shared(f"proj-grids/{GRID}").read_bytes())
        here = tmp_path / "grids"
        answer = run("grids", "fetch", GRID, "--url", url, "--grids-dir", here)
        assert "CC-BY-SA" in answer
        assert "1 fetched" in answer
        assert (here / GRID).read_bytes() == (folder / GRID).read_bytes()
        (folder / GRID).unlink()
        assert "0 fetched, 1 were here" in run(
            "grids", "fetch", "--for", "EPSG:5787", "--url", url, "--grids-dir", here
        )
        listed = json.loads(run("grids", "list", "--json", "--grids-dir", here))
        assert {grid["name"] for grid in listed["grids"] if grid["state"] == "ok"} == {GRID}

    def test_another_file_is_refused_and_not_kept(self, cdn, tmp_path):
        folder, url = cdn
        (folder / GRID).write_bytes(b"not the grid")
        with pytest.raises(GridCorrupt, match="pinned"):
            fetch_grids((GRID,), tmp_path / "grids", url=url)
        assert list((tmp_path / "grids").iterdir()) == []

    def test_a_corrupt_grid_is_listed_and_replaced(self, shared, cdn, tmp_path):
        folder, url = cdn
        (folder / GRID).write_bytes(shared(f"proj-grids/{GRID}").read_bytes())
        (tmp_path / GRID).write_bytes(b"half of it")
        assert "corrupt" in run("grids", "list", "--grids-dir", tmp_path)
        assert fetch_grids((GRID,), tmp_path, url=url) == (GRID,)

    def test_what_the_server_lacks_or_fails_is_told(self, cdn, tmp_path):
        _, url = cdn
        with pytest.raises(SourceMissing, match="--url"):
            fetch_grids((GRID,), tmp_path, url=url)
        with pytest.raises(SourceUnavailable, match="503") as caught:
            fetch_grids(("lv_lgia_lv14.tif",), tmp_path, url=url)
        assert caught.value.retryable
        with pytest.raises(SourceUnavailable, match="ConnectError"):
            fetch_grids((GRID,), tmp_path, url="http://127.0.0.1:9")

    def test_unknown_names_are_refused(self, tmp_path):
        with pytest.raises(GridMissing, match="no grid"):
            fetch_grids(("x.tif",), tmp_path)

    def test_without_names_every_grid_but_the_large_one_is_wanted(self, shared):
        grids = shared("proj-grids")
        assert "0 fetched, 34 were here" in run("grids", "fetch", "--url", "http://127.0.0.1:9", "--grids-dir", grids)
        with pytest.raises(SourceUnavailable, match="egm08"):
            run("grids", "fetch", "--all", "--url", "http://127.0.0.1:9", "--grids-dir", grids)
