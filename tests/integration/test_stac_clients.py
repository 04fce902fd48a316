"""Real STAC clients against `orograph serve` and the static catalogue: list, search, load a mosaic over a tile border."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pystac
import pytest
import rasterio
from pystac_client import Client

from orograph.stac.documents.index import decode_items, encode_items
from orograph.stac.documents.schemas import SchemaLibrary
from tests.support.service_world import EAST, WEST, World

# Deprecations inside the clients are theirs to fix.
pytestmark = [pytest.mark.filterwarnings("ignore")]

PIXEL_M = 500.0
# Across the border of both tiles, away from the lake of the western one.
ACROSS_M = (WEST.bounds_m[2] - 10_000, WEST.bounds_m[1] + 2_000, WEST.bounds_m[2] + 10_000, WEST.bounds_m[1] + 8_000)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"), pixel_m=PIXEL_M)
    made.publish(WEST)
    made.publish(EAST)
    return made


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    """`orograph serve` in a process of its own: GDAL waits for answers without giving way to other threads."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "orograph.infra.cli.app", "serve", "--store", world.store.url, "--port", str(port)]
    server = subprocess.Popen([sys.executable, *words])
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and server.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/stac/").status_code == 200:
                    break
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(params=["service", "static over HTTP", "static folder"])
def items(request: pytest.FixtureRequest, url: str, world: World) -> list[pystac.Item]:
    """The two tiles as each way of browsing finds them."""
    if request.param == "service":
        return list(Client.open(f"{url}/stac/").search(collections=["dem-eu"]).items())
    static = f"{url}/files/stac/catalog.json"
    root = (
        static if "HTTP" in request.param else str(Path(world.store.url.removeprefix("file://")) / "stac/catalog.json")
    )
    catalogue = pystac.Catalog.from_file(root)
    return [item for item in catalogue.get_items(recursive=True) if item.collection_id == "dem-eu"]


def test_odc_stac_loads_a_mosaic_as_one_time_step_without_voids(items: list[pystac.Item]) -> None:
    odc_stac = pytest.importorskip("odc.stac")
    west, south, east, north = ACROSS_M
    loaded = odc_stac.load(
        items, bands=["elevation"], x=(west, east), y=(south, north), crs="EPSG:3035", resolution=500
    )
    assert loaded.sizes["time"] == 1
    heights = loaded["elevation"].values
    assert heights.shape[1:] == (12, 40)
    assert np.isfinite(heights).all()
    assert (heights > 0).all()


def test_rioxarray_and_rio_tiler_read_an_asset(items: list[pystac.Item]) -> None:
    rioxarray = pytest.importorskip("rioxarray")
    from rio_tiler.io import Reader

    item = next(item for item in items if item.id == EAST.id)
    href = item.assets["elevation"].get_absolute_href() or ""
    raster = rioxarray.open_rasterio(href, masked=True)
    assert raster.rio.crs.to_epsg() == 3035
    assert np.isfinite(raster.values).all()
    west, south, east, north = item.bbox or ()
    with Reader(href) as reader:
        point = reader.point((west + east) / 2, (south + north) / 2)
    assert float(point.data[0]) > 0


def test_qgis_plugin_calls(url: str) -> None:
    """What QGIS's STAC data provider and its STAC API Browser plug-in send, in their order, recorded."""
    with httpx.Client(base_url=f"{url}/stac", headers={"user-agent": "Mozilla/5.0 QGIS/34003"}) as client:
        landing = client.get("/").json()
        assert {"http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"} <= set(landing["conformsTo"])
        links = {link["rel"]: link["href"] for link in landing["links"]}
        collections = client.get(links["data"]).json()["collections"]
        assert [collection["id"] for collection in collections] == ["dem-eu"]
        items_url = next(link["href"] for link in collections[0]["links"] if link["rel"] == "items")
        assert client.get(items_url, params={"limit": 10}).json()["numberReturned"] == 2
        body = {
            "collections": ["dem-eu"],
            "bbox": [5.0, 44.0, 15.0, 50.0],
            "datetime": "1900-01-01T00:00:00Z/2100-01-01T00:00:00Z",
            "limit": 1,
            "sortby": [{"field": "properties.datetime", "direction": "desc"}],
        }
        page = client.post(links["search"], json=body).json()
        seen = [feature["id"] for feature in page["features"]]
        following = next(link for link in page["links"] if link["rel"] == "next")
        seen += [feature["id"] for feature in client.post(following["href"], json=following["body"]).json()["features"]]
        assert sorted(seen) == [WEST.id, EAST.id]
        asset = page["features"][0]["assets"]["elevation"]["href"]
    with rasterio.open(f"/vsicurl/{asset}") as dataset:
        assert dataset.crs.to_epsg() == 3035


def index_of(world: World) -> Path:
    key = next(info.key for info in world.store.list("stac/dem-eu/") if info.key.endswith("items.parquet"))
    return Path(world.store.url.removeprefix("file://")) / key


def published(world: World) -> dict[str, Any]:
    keys = [info.key for info in world.store.list("stac/dem-eu/")]
    items = [json.loads(world.store.get(key)) for key in keys if key.endswith((f"{WEST.id}.json", f"{EAST.id}.json"))]
    return {item["id"]: item for item in items}


def read_by_others(path: Path) -> dict[str, list[Any]]:
    """Items of a geoparquet file as other readers restore them, by reader."""
    arrow = pytest.importorskip("stac_geoparquet.arrow")
    rustac = pytest.importorskip("rustac")
    import pyarrow.parquet as pq

    async def read() -> Any:
        return await rustac.read(str(path))

    return {
        "stac-geoparquet": list(arrow.stac_table_to_items(pq.read_table(path))),
        "rustac": asyncio.run(read())["features"],
    }


def test_stac_geoparquet_and_rustac_restore_valid_items(world: World, shared: Any) -> None:
    library = SchemaLibrary(shared("stac-schemas"))
    expected = published(world)
    for reader, found in read_by_others(index_of(world)).items():
        plain = json.loads(json.dumps(found))
        assert {item["id"] for item in plain} == set(expected), reader
        for item in plain:
            assert list(library.faults(item)) == [], reader
            for name in ("dem:quality", "dem:coregistration", "dem:sources", "proj:transform", "gsd"):
                assert item["properties"].get(name) == expected[item["id"]]["properties"].get(name), (reader, name)


def thinned(item: Any) -> Any:
    """The item without its optional members, and with some that its neighbours are missing."""
    sparse = copy.deepcopy(item)
    properties, assets = sparse["properties"], sparse["assets"]
    for name in ("uncertainty_median_m", "border_step_m", "vertical_accuracy_le90_m", "quality", "filled_fraction"):
        properties.pop(f"dem:{name}", None)
    first, *others = properties["dem:sources"]
    first["horizontal"] = {"operation": "a grid shift", "grids": [{"name": "g.tif", "sha256": "0" * 64}]}
    first["thinning_declared"] = "averaged"
    for source in others:
        for name in ("fraction", "index", "accuracy_m", "files"):
            source.pop(name, None)
    properties["dem:coregistration"] = [{**r, "details": {"applied": True}} for r in properties["dem:coregistration"]]
    for name in ("nmad_before_m", "shift_up_m"):
        properties["dem:coregistration"][0].pop(name)
    properties["dem:operations"][0]["notes"] = ["a note"]
    properties["dem:models"] = {"superres": "keys6"}
    properties["dem:numerics"] = {"torch": "2"}
    properties["providers"][0].pop("url", None)
    del assets["uncertainty"]
    return sparse


def test_rows_that_differ_are_restored_as_valid_items(world: World, shared: Any, tmp_path: Path) -> None:
    library = SchemaLibrary(shared("stac-schemas"))
    full, other = published(world).values()
    sparse = thinned(other)
    assert list(library.faults(sparse)) == []
    data = encode_items([full, sparse])
    assert decode_items(data) == sorted([full, sparse], key=lambda item: item["id"])
    path = tmp_path / "items.parquet"
    path.write_bytes(data)
    for reader, found in read_by_others(path).items():
        for item in json.loads(json.dumps(found)):
            assert list(library.faults(item)) == [], (reader, item["id"])
