"""Real clients of catalogue and service, each doing its usual work: list, search, load over a tile border, order.

A client is a function of a `Place`; it raises where a result is wrong and returns None where the place does not offer the
client's part (a static catalogue cannot be searched or take orders).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pystac
import rasterio

PIXEL_M: Final = 200.0


@dataclass(frozen=True)
class Place:
    """Where a catalogue is found.

    Attributes:
        catalogue: Landing page of the STAC API, or file or address of the static root.
        service: Address of the service; None for static catalogues.
        store: Folder with the published files, for readers of the geoparquet index.
        tiles: The two published tiles, by id.
        across_m: Bounds across their common border, EPSG:3035.
        orders: Inputs of two orders, one to execute synchronously and one asynchronously.
        headers: Sent with orders.
    """

    catalogue: str
    service: str | None
    store: Path
    tiles: tuple[str, str]
    across_m: tuple[float, float, float, float]
    orders: tuple[dict[str, Any], ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def items(self) -> list[pystac.Item]:
        """The two tiles, as pystac-client or pystac finds them."""
        if self.service is not None:
            from pystac_client import Client

            found = list(Client.open(self.catalogue).search(collections=["dem-eu"]).items())
        else:
            root = pystac.Catalog.from_file(self.catalogue)
            found = [item for item in root.get_items(recursive=True) if item.collection_id == "dem-eu"]
        return [item.make_asset_hrefs_absolute() for item in sorted(found, key=lambda item: item.id)]


def pystac_client(place: Place) -> str | None:
    """Lists collections and items, searches with paging, sorting and CQL2; pystac walks the static catalogue."""
    if place.service is None:
        items = place.items()
        assert tuple(item.id for item in items) == place.tiles
        assert items[0].get_parent() is not None
        return "walks"
    from pystac_client import Client

    client = Client.open(place.catalogue)
    assert [collection.id for collection in client.get_collections()] == ["dem-eu"]
    assert tuple(sorted(item.id for item in client.get_collection("dem-eu").get_items())) == place.tiles
    search = client.search(limit=1, sortby="-id", collections=["dem-eu"], filter="gsd < 1000", filter_lang="cql2-text")
    assert tuple(item.id for item in search.items()) == place.tiles[::-1]
    return "lists, searches, pages"


def _odc(place: Place) -> np.ndarray[Any, np.dtype[np.float32]]:
    from odc import stac

    west, south, east, north = place.across_m
    shape = {"x": (west, east), "y": (south, north), "crs": "EPSG:3035", "resolution": PIXEL_M}
    loaded = stac.load(place.items(), bands=["elevation"], **shape)
    assert loaded.sizes["time"] == 1
    heights: np.ndarray[Any, np.dtype[np.float32]] = loaded["elevation"].values[0]
    assert np.isfinite(heights).all()
    assert (heights > 0).all()
    return heights


def odc_stac(place: Place) -> str | None:
    """Loads both tiles as one time step without voids."""
    return f"1 step, {np.isnan(_odc(place)).mean():.0%} void"


def stackstac(place: Place) -> str | None:
    """Stacks both tiles to the heights that odc-stac loads."""
    import stackstac as client

    shape = {"bounds": place.across_m, "resolution": PIXEL_M, "epsg": 3035, "xy_coords": "center"}
    stacked = client.stack(place.items(), assets=["elevation"], **shape)
    mosaic = stacked.groupby("time").map(client.mosaic).compute()
    assert mosaic.sizes["time"] == 1
    np.testing.assert_array_equal(mosaic.values[0, 0], _odc(place))
    return "1 step, equal to odc-stac"


def rioxarray(place: Place) -> str | None:
    """Opens an asset with its CRS and nodata."""
    import rioxarray as client

    raster = client.open_rasterio(place.items()[0].assets["elevation"].href, masked=True)
    assert raster.rio.crs.to_epsg() == 3035
    assert np.isfinite(raster.values).any()
    return "reads the COG"


def qgis(place: Place) -> str | None:
    """The requests of QGIS's STAC provider and its STAC API Browser plug-in, in their order, and its reading by GDAL."""
    with httpx.Client(headers={"user-agent": "Mozilla/5.0 QGIS/34003"}, timeout=60) as client:
        if place.service is None:
            if not place.catalogue.startswith("http"):
                return None
            items = place.items()
            asset = items[0].assets["elevation"].href
            children = [link for link in client.get(place.catalogue).json()["links"] if link["rel"] == "child"]
            assert children
        else:
            landing = client.get(place.catalogue).json()
            links = {link["rel"]: link["href"] for link in landing["links"]}
            (collection,) = client.get(links["data"]).json()["collections"]
            items_url = next(link["href"] for link in collection["links"] if link["rel"] == "items")
            assert client.get(items_url, params={"limit": 10}).json()["numberReturned"] == 2
            window = {"bbox": [-30.0, 30.0, 45.0, 75.0], "datetime": "1900-01-01T00:00:00Z/2100-01-01T00:00:00Z"}
            body = {"collections": ["dem-eu"], **window, "limit": 1, "sortby": [{"field": "id", "direction": "asc"}]}
            page = client.post(links["search"], json=body).json()
            following = next(link for link in page["links"] if link["rel"] == "next")
            seen = [*page["features"], *client.post(following["href"], json=following["body"]).json()["features"]]
            assert tuple(feature["id"] for feature in seen) == place.tiles
            asset = seen[0]["assets"]["elevation"]["href"]
    with rasterio.open(f"/vsicurl/{asset}") as dataset:
        assert dataset.crs.to_epsg() == 3035
    return "recorded calls answered"


def owslib(place: Place) -> str | None:
    """Lists processes and executes one synchronously and one asynchronously; the ordered tiles are published."""
    if place.service is None:
        return None
    from owslib.ogcapi.processes import Processes

    def client() -> Any:
        return Processes(str(place.service), headers=dict(place.headers))

    assert [process["id"] for process in client().processes()] == ["reprocess-tile"]
    first, second = place.orders
    job = client().execute("reprocess-tile", second, {"item": {}}, async_=True)
    results = client().execute("reprocess-tile", first)
    with httpx.Client(base_url=place.service, headers=place.headers, timeout=60) as plain:
        if "item" not in results:  # it takes longer than the service lets a request wait
            assert ended(plain, results["jobID"]) == "successful"
            results = plain.get(f"/jobs/{results['jobID']}/results").json()
        assert plain.get(results["item"]["href"]).json()["id"] == first["tile"]
        assert ended(plain, job["jobID"]) == "successful"
        assert set(plain.get(f"/jobs/{job['jobID']}/results").json()) == {"item"}
    return "executes, both ways"


def ended(client: httpx.Client, job: str, timeout_s: float = 120.0) -> str:
    """The state in which a job ended."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        state = str(client.get(f"/jobs/{job}").json()["status"])
        if state not in {"accepted", "running"}:
            return state
        time.sleep(0.3)
    raise TimeoutError(job)


def _index(place: Place) -> Path:
    return next((place.store / "stac/dem-eu").glob("*/items.parquet"))


def _check_restored(place: Place, items: list[Any]) -> None:
    plain = json.loads(json.dumps(items))
    assert set(place.tiles) <= {item["id"] for item in plain}
    for item in plain:
        pystac.Item.from_dict(item)
        assert item["properties"]["dem:sources"]


def stac_geoparquet(place: Place) -> str | None:
    """Restores the items of the geoparquet index."""
    import pyarrow.parquet as pq
    from stac_geoparquet.arrow import stac_table_to_items

    _check_restored(place, list(stac_table_to_items(pq.read_table(_index(place)))))
    return "restores items"


def rustac(place: Place) -> str | None:
    """Searches the API, and restores the items of the geoparquet index."""
    import rustac as client

    async def read() -> tuple[list[Any], list[Any]]:
        restored = (await client.read(str(_index(place))))["features"]
        if place.service is None:
            return restored, restored
        return restored, list(await client.search(place.catalogue, collections="dem-eu", limit=10))

    restored, found = asyncio.run(read())
    _check_restored(place, restored)
    assert set(place.tiles) <= {item["id"] for item in found}
    return "restores items" + ("" if place.service is None else ", searches")


CLIENTS: Final[dict[str, Callable[[Place], str | None]]] = {
    "pystac-client": pystac_client,
    "odc-stac": odc_stac,
    "stackstac": stackstac,
    "rioxarray": rioxarray,
    "QGIS calls": qgis,
    "stac-geoparquet": stac_geoparquet,
    "rustac": rustac,
    "OWSLib": owslib,
}
"""Clients by name; STAC Browser, which needs Chromium, is in `tests.support.stac_browser`."""
