"""`orograph height`, `harmonise` and `grids`, as people run them."""

from __future__ import annotations

import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import CRS
from rasterio.transform import from_origin
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.machine.fetch_grids import fetch_grids
from orograph.pipeline.errors import (
    GridCorrupt,
    GridMissing,
    NodataError,
    OutsideAreaOfUse,
    SourceGridError,
    SourceMissing,
    SourceUnavailable,
    UsageError,
    VerticalFrameMissing,
)
from orograph.pipeline.vertical.harmonise import HarmoniseRequest, harmonise

GRID = "hu_bme_geoid2014.tif"


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def write(path: Path, heights: np.ndarray, *, crs: str = "EPSG:25832", west=330_000.0, north=5_650_000.0, **profile):
    defaults = {"driver": "GTiff", "count": 1, "dtype": str(heights.dtype), "nodata": -9999.0}
    shape = {"height": heights.shape[0], "width": heights.shape[1]}
    transform = from_origin(west, north, 10, 10)
    with rasterio.open(path, "w", crs=crs, transform=transform, **shape, **(defaults | profile)) as file:
        file.write(heights, 1)
    return path


class TestHeight:
    def test_it_tells_height_operation_and_accuracy(self, tmp_path):
        answer = json.loads(
            run("height", 6.0209, 50.7546, 100, "--from", "EPSG:5709", "--json", "--grids-dir", tmp_path)
        )
        assert answer["height_to_m"] == pytest.approx(100.028)
        assert answer["operation"] == "derived:nap-evrf2007"
        assert answer["derived"] is True
        assert answer["accuracy_m"] == 0.02

    def test_western_longitudes_are_no_options(self, shared):
        answer = run(
            "height", -3.7, 40.45, 600, "--from", "EPSG:5782", "--to", "EPSG:4937", "--grids-dir", shared("proj-grids")
        )
        assert "651.1130 m" in answer
        assert "es_ign_egm08-rednap.tif" in answer

    def test_a_way_can_be_named(self, shared):
        words = ("height", 8.5, 50.0, 100, "--from", "EPSG:5773", "--via", "EPSG:7837", "--json")
        answer = json.loads(run(*words, "--grids-dir", shared("proj-grids")))
        assert answer["steps"] == ["EPSG:10084", "EPSG:10294 (inverse)", "EPSG:7838"]

    def test_frames_are_listed(self):
        assert "NAP height" in run("height", "--frames")
        assert json.loads(run("height", "--frames", "--json"))["EPSG:5621"]["name"] == "EVRF2007 height"

    def test_incomplete_questions_are_refused(self):
        with pytest.raises(UsageError):
            run("height", 6, 50, 100)
        with pytest.raises(UsageError):
            run("height", 6, 50, 100, "--from", "EPSG:5709", "--method", "guess")


class TestHarmonise:
    def test_heights_move_and_voids_stay(self, tmp_path):
        heights = np.full((40, 60), 50.0, dtype=np.float32)
        heights[3, 4] = -9999.0
        heights[5, 6] = 0.0
        source = write(tmp_path / "in.tif", heights)
        answer = run("harmonise", source, tmp_path / "out.tif", "--from", "EPSG:7837", "--grids-dir", tmp_path)
        assert "EPSG:7838" in answer
        with rasterio.open(tmp_path / "out.tif") as file:
            moved = file.read(1, masked=True)
            crs, tags = CRS.from_wkt(file.crs.to_wkt()), file.tags()
        assert moved.mask.sum() == 1
        assert moved.mask[3, 4]
        assert moved[5, 6] == pytest.approx(0.0136, abs=0.001)
        assert moved[0, 0] == pytest.approx(50.0136, abs=0.001)
        assert (crs.to_epsg(), tags["VERTICAL_DATUM"]) == (25832, "EPSG:5621")

    def test_it_is_what_each_pixel_asks_for(self, shared, tmp_path):
        source = write(tmp_path / "in.tif", np.zeros((50, 50), dtype=np.float32))
        grids = shared("proj-grids")
        harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:4937", "EPSG:7837"), grids)
        with rasterio.open(tmp_path / "out.tif") as file:
            moved = file.read(1)
        from pyproj import Transformer

        from orograph.pipeline.vertical import VerticalCatalogue

        lon, lat = Transformer.from_crs("EPSG:25832", "EPSG:4258", always_xy=True).transform(330_405.0, 5_649_705.0)
        operation = VerticalCatalogue.load().operation("EPSG:7837", "EPSG:4937", grids_dir=grids)
        assert moved[29, 40] == pytest.approx(operation.shift(lon, lat), abs=0.002)

    def test_the_files_own_frame_is_read_and_kept(self, tmp_path):
        source = write(tmp_path / "in.tif", np.full((20, 20), 7.0, dtype=np.float32), crs="EPSG:25832+7837")
        done = harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621"), tmp_path)
        assert done.record.frame_from == "EPSG:7837"
        with pytest.raises(SourceGridError, match="declares vertical CRS EPSG:7837"):
            harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:5709"), tmp_path)

    def test_without_a_frame_it_is_refused(self, tmp_path):
        source = write(tmp_path / "in.tif", np.full((20, 20), 7.0, dtype=np.float32))
        with pytest.raises(VerticalFrameMissing, match="--from"):
            harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621"), tmp_path)

    def test_undeclared_voids_are_refused_and_leave_nothing(self, tmp_path):
        heights = np.full((20, 20), 7.0, dtype=np.float32)
        heights[0, 0] = -9999.0
        source = write(tmp_path / "in.tif", heights, nodata=None)
        with pytest.raises(NodataError, match="-9999"):
            harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:7837"), tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]
        done = harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:7837", (-9999.0,)), tmp_path)
        assert (done.moved, done.void) == (399, 1)

    def test_heights_outside_the_area_are_not_lost_silently(self, tmp_path):
        source = write(tmp_path / "in.tif", np.full((20, 20), 7.0, dtype=np.float32), west=329_900.0, north=5_622_500.0)
        with rasterio.open(source) as file:
            assert file.bounds.bottom < 5_622_400
        request = HarmoniseRequest("EPSG:5621", "EPSG:5709")
        with pytest.raises(OutsideAreaOfUse):
            harmonise(source, tmp_path / "out.tif", request, tmp_path)

    def test_files_that_are_no_heights_are_refused(self, tmp_path):
        with pytest.raises(SourceMissing):
            harmonise(tmp_path / "none.tif", tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:5709"), tmp_path)
        source = write(tmp_path / "in.tif", np.zeros((4, 4), dtype=np.float32), crs=None)
        with pytest.raises(SourceGridError, match="--crs"):
            harmonise(source, tmp_path / "out.tif", HarmoniseRequest("EPSG:5621", "EPSG:5709"), tmp_path)


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
