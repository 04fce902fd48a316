"""What a map tile costs, in CPU time of one core, by layer; the peer is rio-tiler alone reading the same window."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path

import pytest

from orograph.infra.service.mosaic import part
from orograph.infra.service.preview import Look, Previews
from orograph.infra.service.published_tiles import Published, gdal_path
from orograph.infra.service.web_tiles import LAYERS, Address
from tests.bench.results import record
from tests.support.service_world import WEST, World

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]


def test_map_tiles_cost(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=25.0)
    world.publish(WEST)
    published = Published(world.store)
    loop = asyncio.new_event_loop()
    previews = Previews(world.store, published, lambda _tile, _source: (), threads=1, queue_limit=8, cache_mb=64)
    west, south, east, north = next(iter(published.all().values())).item["bbox"]
    lon, lat = (west + east) / 2, (south + north) / 2
    addresses = []
    for zoom in (9, 10, 11, 12):
        column = int((lon + 180) / 360 * 2**zoom)
        row = int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom)
        addresses.append(Address(zoom, column, row))
    path = gdal_path(world.store, str(published.all()[WEST.id].asset_key("elevation")))

    def cpu_ms(work: object) -> float:
        start = time.process_time()
        for address in addresses:
            work(address)  # type: ignore[operator]
        return (time.process_time() - start) / len(addresses) * 1e3

    cpu_ms(lambda address: part(path, address.bounds_m(2), 516))
    alone = cpu_ms(lambda address: part(path, address.bounds_m(2), 516))
    print(f"\nrio-tiler alone          {alone:6.0f} ms CPU")
    for layer in LAYERS:
        drawn = cpu_ms(lambda address: loop.run_until_complete(previews.picture(address, Look(layer))))  # noqa: B023
        kept = cpu_ms(lambda address: loop.run_until_complete(previews.picture(address, Look(layer))))  # noqa: B023
        print(f"{layer:<14} drawn     {drawn:6.0f} ms CPU ({drawn / alone:4.1f} x), from memory {kept:5.1f} ms")
        assert kept < drawn
        if layer == "relief":
            record(
                "service",
                "map-tile",
                claim="map tile of 512 px drawn as relief, CPU time",
                ours=f"{drawn:.0f} ms, {kept:.1f} ms from memory",
                peer=f"{alone:.0f} ms, rio-tiler reading the window",
                ratio=drawn / alone,
                data="heights of 25 m",
            )
    previews.close()
    loop.close()
