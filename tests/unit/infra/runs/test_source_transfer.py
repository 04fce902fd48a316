"""Fetch and mirror against a local server that imitates each kind of access."""

from __future__ import annotations

import io
import json
import zipfile
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window

from orograph.infra.runs.crop import window_in
from orograph.infra.runs.documents import read_document
from orograph.infra.runs.robots import Robots
from orograph.infra.runs.source_access import SourceAccess
from orograph.infra.runs.source_transfer import fetch_source, mirror_source
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.errors import SourceInaccessible, SourceMissing
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.sources.catalogue import (
    AtomFeed,
    CellTemplate,
    FeatureService,
    Files,
    Portal,
    StacLocation,
    TileIndex,
)
from tests.support.faulty_http import FaultyServer
from tests.support.made import source
from tests.support.tiffs import write_heights

AREA = (10.0, 47.5, 10.1, 47.6)
SEARCHED = {"features", "stac-api"}
HEIGHTS = np.arange(64 * 64, dtype=np.float32).reshape(64, 64)


@pytest.fixture
def tif(tmp_path):
    where = {"crs": "EPSG:25832", "transform": Affine(10, 0, 578_000, 0, -10, 5_265_000)}
    return write_heights(tmp_path / "made.tif", HEIGHTS, **where).read_bytes()


@pytest.fixture
def server():
    with FaultyServer() as running:
        yield running


def zipped(name, data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def part_of(cog, corner=(578_000, 5_265_000)):
    """Rows and columns of the made raster that a COG has."""
    row, col = round((corner[1] - cog.bounds.top) / 10), round((cog.bounds.left - corner[0]) / 10)
    return slice(row, row + cog.height), slice(col, col + cog.width)


def places(server, tif):
    """One place of each kind that leads to the same raster."""
    href = server.serve("dtm/made.tif", tif)
    server.serve("cells/578_5264.tif", tif)
    feature = {"type": "Feature", "id": "a", "properties": {"location": href}, "bbox": AREA, "geometry": None}
    item = {**feature, "assets": {"data": {"href": href}}, "links": []}
    catalog = {"type": "Catalog", "links": [{"rel": "item", "href": f"{server.url}/item.json"}]}
    server.serve("catalog.json", json.dumps(catalog).encode())
    server.serve("item.json", json.dumps(item).encode())
    server.serve("list.csv", f"href,xmin,ymin,xmax,ymax\n{href},{','.join(map(str, AREA))}\n".encode())
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="{href}"/></entry></feed>'
    server.serve("feed.xml", feed.encode())
    collection = {"type": "FeatureCollection", "features": [feature], "links": []}
    server.serve("collections/dtm/items", json.dumps(collection).encode())
    geojson = "application/geo+json"
    links = [{"rel": rel, "href": f"{server.url}/{rel}", "type": geojson} for rel in ("self", "search")]
    conforms = [f"https://api.stacspec.org/v1.0.0/{name}" for name in ("core", "item-search")]
    root = {
        "type": "Catalog",
        "id": "api",
        "stac_version": "1.0.0",
        "description": "x",
        "conformsTo": conforms,
        "links": links,
    }
    server.serve("api", json.dumps(root).encode())
    server.serve("search", json.dumps({**collection, "features": [{**item, "stac_version": "1.0.0"}]}).encode())
    archive = server.serve("dtm.zip", zipped("inner.zip", zipped("folder/made.tif", tif)))
    template = CellTemplate(href=server.url + "/cells/{e_km}_{n_km}.tif", cell_m=1000, crs="EPSG:25832")
    return {
        "files": Files(hrefs=(href,)),
        "template": template,
        "stac": StacLocation(href=f"{server.url}/catalog.json"),
        "list": TileIndex(href=f"{server.url}/list.csv"),
        "atom": AtomFeed(href=f"{server.url}/feed.xml"),
        "archive": Files(hrefs=(archive,)),
        "features": FeatureService(href=f"{server.url}/collections/dtm/items"),
        "stac-api": StacLocation(href=f"{server.url}/api"),
    }


@pytest.mark.parametrize("kind", ["files", "template", "stac", "list", "atom", "archive", "features", "stac-api"])
def test_each_kind_is_mirrored_and_goes_on(kind, server, tif, tmp_path):
    made = source("x", data=places(server, tif)[kind], horizontal_crs="EPSG:25832", area_deg=AREA)
    area = (10.038, 47.525, 10.042, 47.528) if kind == "template" else AREA
    store, access = LocalStore(tmp_path / "own"), SourceAccess(RunSettings(cache_mb=0))
    done = mirror_source(made, access, read_document, area, store, requests_per_s=1000)
    assert not done.faults
    assert len(done.copied) == 1
    with rasterio.open(tmp_path / "own" / done.copied[0]) as cog:
        assert cog.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert np.array_equal(cog.read(1), HEIGHTS[part_of(cog)])
        assert (cog.shape == HEIGHTS.shape) == (kind != "template")
        assert cog.nodata == -9999.0
    assert made.attribution in store.get("made/LICENCE.txt").decode()
    assert json.loads(store.get("made/report.json"))["copied"] == done.copied
    again = mirror_source(made, access, read_document, area, store, requests_per_s=1000)
    assert len(again.kept) == 1
    assert not again.copied


@pytest.mark.parametrize("kind", ["files", "template", "stac", "list", "atom", "features", "stac-api"])
def test_each_kind_is_fetched_byte_by_byte_and_goes_on(kind, server, tif, tmp_path):
    made = source("x", data=places(server, tif)[kind], horizontal_crs="EPSG:25832", area_deg=AREA)
    area = (10.038, 47.525, 10.042, 47.528) if kind == "template" else AREA
    access = SourceAccess(RunSettings(cache_mb=0))
    done = fetch_source(made, access, read_document, area, tmp_path, requests_per_s=1000)
    assert not done.faults
    assert [(tmp_path / "made" / name).read_bytes() for name in done.copied] == [tif]
    assert made.attribution in (tmp_path / "made/LICENCE.txt").read_text(encoding="utf-8")
    searched = [parse_qs(urlsplit(path).query)["bbox"][0].split(",") for path in server.requests if "bbox=" in path]
    searched += [json.loads(body)["bbox"] for body in server.posted]
    assert [tuple(map(float, bbox)) for bbox in searched] == [AREA] * (kind in SEARCHED)
    again = fetch_source(made, access, read_document, area, tmp_path, requests_per_s=1000)
    assert (again.copied, len(again.kept)) == ([], 1)


def test_a_server_without_ranges_is_mirrored(server, tif, tmp_path):
    made = source("x", data=places(server, tif)["files"], horizontal_crs="EPSG:25832")
    server.ranges = False
    access = SourceAccess(RunSettings(cache_mb=0))
    done = mirror_source(made, access, read_document, AREA, LocalStore(tmp_path / "own"), requests_per_s=1000)
    assert (len(done.copied), done.faults) == (1, [])


def test_a_fetch_unpacks_and_waits_as_asked(server, tif, tmp_path):
    made = source("x", data=places(server, tif)["archive"])
    server.faults += ["503"]
    access = SourceAccess(RunSettings(cache_mb=0))
    done = fetch_source(made, access, read_document, AREA, tmp_path / "data", requests_per_s=1000)
    assert not done.faults
    assert (tmp_path / "data/made" / done.copied[0]).read_bytes() == tif
    again = fetch_source(made, access, read_document, AREA, tmp_path / "data", requests_per_s=1000)
    assert (again.copied, len(again.kept)) == ([], 1)


def test_of_a_large_raster_the_blocks_of_the_area_come_and_nothing_else(server, tmp_path):
    where = {"crs": "EPSG:25832", "transform": Affine(10, 0, 578_000, 0, -10, 5_265_000)}
    heights = np.random.default_rng(0).normal(500, 20, (2200, 2200)).astype(np.float32)
    path = write_heights(tmp_path / "large.tif", heights, compress="none", predictor=1, **where)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.units = (0.5,), ("metre",)
    made = source("x", data=Files(hrefs=(server.serve("large.tif", path.read_bytes()),)), horizontal_crs="EPSG:25832")
    area, store = (10.1, 47.40, 10.13, 47.42), LocalStore(tmp_path / "own")
    access = SourceAccess(RunSettings(cache_mb=0))
    done = mirror_source(made, access, read_document, area, store, requests_per_s=1000)
    assert not done.faults
    with rasterio.open(tmp_path / "own" / done.copied[0]) as cog:
        assert np.array_equal(cog.read(1), heights[part_of(cog)])
        assert (cog.scales, cog.units, cog.nodata) == ((0.5,), ("metre",), -9999.0)
        assert 200 < cog.width < 300
    assert server.bytes_sent < path.stat().st_size / 4
    elsewhere = mirror_source(made, access, read_document, (9.0, 46.0, 9.1, 46.1), store, requests_per_s=1000)
    assert (elsewhere.copied, elsewhere.outside, elsewhere.faults) == ([], 1, [])
    again = mirror_source(made, access, read_document, area, store, requests_per_s=1000)
    assert len(again.kept) == 1


def test_robots_txt_is_kept_to(server, tif, tmp_path):
    made = source("x", data=places(server, tif)["atom"], horizontal_crs="EPSG:25832")
    rules = "User-agent: *\nDisallow: /dtm/\n\nUser-agent: orograph\nCrawl-delay: 7\nDisallow: {}\n"
    access, store = SourceAccess(RunSettings(cache_mb=0)), LocalStore(tmp_path / "own")
    server.serve("robots.txt", rules.format("/dtm/").encode())
    robots = Robots(read_document)
    done = mirror_source(made, access, read_document, AREA, store, requests_per_s=1000, robots=robots)
    assert [type(error) for _, error in done.faults] == [SourceInaccessible]
    assert robots.delay_s(f"{server.url}/cells/a.tif") == 7.0
    server.serve("robots.txt", rules.format("/feed").encode())
    with pytest.raises(SourceInaccessible, match=r"robots\.txt"):
        mirror_source(made, access, read_document, AREA, store, robots=Robots(read_document))
    del server.objects["robots.txt"]
    done = mirror_source(made, access, read_document, AREA, store, requests_per_s=1000, robots=Robots(read_document))
    assert len(done.copied) == 1


def test_files_that_come_by_hand_are_said_to(tmp_path):
    made = source("x", data=Portal(href="https://example.org", how="order them"))
    access = SourceAccess(RunSettings(cache_mb=0))
    with pytest.raises(SourceMissing, match="order them"):
        fetch_source(made, access, read_document, AREA, tmp_path)


def test_a_raster_that_is_not_north_up_or_whose_crs_cannot_express_the_area_is_kept_whole(tmp_path):
    upside_down = {"crs": "EPSG:25832", "transform": Affine(10, 0, 578_000, 0, 10, 5_265_000)}
    path = write_heights(tmp_path / "up.tif", HEIGHTS, **upside_down)
    assert window_in(path, "EPSG:25832", (10.038, 47.525, 10.042, 47.528)) == Window(0, 0, 64, 64)
    polar = {"crs": "EPSG:3995", "transform": Affine(10, 0, 0, 0, -10, 0)}
    path = write_heights(tmp_path / "polar.tif", HEIGHTS, **polar)
    found = window_in(path, "EPSG:3995", (-180.0, -90.0, 180.0, 90.0))
    assert found is not None
    assert (found.width, found.height) == (64, 64)
