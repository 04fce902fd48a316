"""Publishing and searching a catalogue of all of Europe: 9,000 tiles of 50 km.

    python -m pytest tests/bench/test_bench_catalogue.py -m bench -s

Limits hold processor time and requests, which repeat on a busy machine, not wall time; wall times are printed.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import statistics
import time

import httpx
import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from orograph.pipeline.manifest import Manifest
from orograph.stac.documents import layout
from orograph.stac.documents.index import encode_items
from orograph.stac.publishing.publish import publish_item, rebuild
from orograph.stac.serving.api import search_app
from orograph.stac.serving.search import ItemIndex
from tests.bench.results import record
from tests.support.catalogue_world import MemoryStore, make_manifest
from tests.support.live import live

pytestmark = pytest.mark.bench

COUNT = int(os.environ.get("OROGRAPH_BENCH_ITEMS", "9000"))


def variant(manifest: Manifest, tile: str, seed: int) -> Manifest:
    """The manifest of another tile; files are not read here, so they need not be there."""
    run_key = hashlib.sha256(f"{tile}{seed}".encode()).hexdigest()[:32]
    assets = tuple(a.model_copy(update={"key": f"tiles/{tile}/{run_key}/5e7/{a.filename}"}) for a in manifest.assets)
    return manifest.model_copy(update={"tile": tile, "run_key": run_key, "assets": assets})


def commit(store: MemoryStore, manifest: Manifest) -> Manifest:
    store.put(manifest.manifest_key, b"{}")
    return manifest


@pytest.fixture(scope="module")
def europe():
    store, first = MemoryStore(), make_manifest(None)
    tiles = [f"E{1500 + 50 * (n % 100):04d}N{1500 + 50 * (n // 100):04d}" for n in range(COUNT)]
    started = time.process_time()
    for tile in tiles:
        publish_item(store, commit(store, variant(first, tile, 0)), now="2026-01-01T00:00:00Z")
    print(f"\npublish_item: {(time.process_time() - started) / COUNT * 1e3:.2f} ms CPU an item")
    started = time.process_time()
    rebuild(store)
    print(f"first rebuild of {COUNT} items: {time.process_time() - started:.1f} s CPU")
    return store, first, tiles


def test_publication_of_one_tile(europe):
    _, first, tiles = europe
    small = MemoryStore()
    for tile in [tile for tile in tiles if layout.block_of(tile) == "E4000N2500"]:
        publish_item(small, commit(small, variant(first, tile, 0)), now="2026-01-01T00:00:00Z")
    rebuild(small)
    costs = {}
    for name, place in (("one block of 100", small), (f"{COUNT}", europe[0])):
        seconds, requests = [], []
        for seed in range(1, 6):
            publish_item(place, commit(place, variant(first, "E4300N2650", seed)))
            place.calls.clear()
            started = time.process_time()
            rebuild(place)
            seconds.append(time.process_time() - started)
            requests.append(sum(place.calls.values()))
        costs[name] = statistics.median(seconds)
        print(f"rebuild after one change, {name}: {costs[name] * 1e3:.0f} ms CPU, {requests[-1]} requests")
        assert max(requests) == min(requests) <= 30
    assert costs[f"{COUNT}"] < 3 * costs["one block of 100"]


def test_search(europe):
    store, _, _ = europe
    parts = [data for key, data in store.objects.items() if key.endswith("items.parquet")]
    print(f"index: {len(parts)} files, {sum(map(len, parts)) / 1024:.0f} KiB")
    gc.collect()
    before, started = psutil.Process().memory_info().rss, time.process_time()
    index = ItemIndex(store)
    assert len(index.snapshot().names) == COUNT
    loaded = time.process_time() - started
    print(f"load: {loaded:.1f} s CPU, {(psutil.Process().memory_info().rss - before) / 2**20:.0f} MiB")
    single = encode_items(_all_items(store))
    table_bytes = len(single)
    print(f"one stac-geoparquet of all: {table_bytes / 1024:.0f} KiB")
    with live(search_app(store, max_age_s=3600)) as url, httpx.Client(base_url=url, timeout=60) as client:
        client.get("/search?limit=1")
        area = {"type": "Polygon", "coordinates": [[[9, 46], [12, 46], [11, 48], [9, 46]]]}
        figures = {
            "bbox": ("/search", {"bbox": "9,46,11,48", "limit": 100}),
            "intersects": ("/search", {"intersects": json.dumps(area), "limit": 100}),
            "ids": ("/search", {"ids": "E4300N2650,E3900N3100"}),
            "bbox + cql2": ("/search", {"bbox": "9,46,11,48", "filter": '"dem:border_step_m" < 1', "limit": 100}),
            "cql2 over all": ("/search", {"filter": "id = 'E4300N2650'"}),
            "1,000 items": ("/search", {"limit": 1000}),
        }
        medians = {}
        for name, (path, parameters) in figures.items():
            times = []
            for _ in range(20):
                begun = time.perf_counter()
                answer = client.get(path, params=parameters)
                times.append((time.perf_counter() - begun) * 1e3)
            assert answer.status_code == 200
            medians[name] = statistics.median(times)
            returned = answer.json()["numberReturned"]
            print(f"{name}: median {medians[name]:.1f} ms, worst {max(times):.1f} ms, {returned} items")
    peer = _peer_bbox_ms(single)
    print(f"peer, pyarrow reading one stac-geoparquet with a bbox filter: {peer:.1f} ms")
    record(
        "catalogue",
        "search",
        claim=f"search in {COUNT:,} items",
        ours=f"{medians['bbox']:.1f} ms",
        peer=f"{peer:.0f} ms, pyarrow on one file",
        ratio=medians["bbox"] / peer,
        data="all of Europe at 50 km",
    )
    assert medians["bbox"] < 60


def _all_items(store):
    import orjson

    suffix = [k for k in store.objects if k.startswith("stac/dem-eu/E") and k.endswith(".json") and "catalog" not in k]
    return [orjson.loads(store.objects[key]) for key in suffix]


def _peer_bbox_ms(data: bytes) -> float:
    import io

    times = []
    for _ in range(5):
        begun = time.perf_counter()
        box = pc.field("bbox", "xmin"), pc.field("bbox", "ymin"), pc.field("bbox", "xmax"), pc.field("bbox", "ymax")
        keep = (box[0] <= 11) & (box[2] >= 9) & (box[1] <= 48) & (box[3] >= 46)
        rows = pq.read_table(io.BytesIO(data), filters=keep).to_pylist()
        times.append((time.perf_counter() - begun) * 1e3)
        assert rows
    return statistics.median(times)
