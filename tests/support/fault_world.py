"""A run small enough to be repeated thousands of times, real in all that touches stores: COGs, commit, publishing."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from orograph.infra.engines.protocol import Receipt, Status
from orograph.infra.runs.commit import commit_tile, is_done
from orograph.infra.stores.open import open_store
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.job import Job, ProgressCallback, TileResult
from orograph.pipeline.manifest import Manifest, Product, ProductInfo
from orograph.pipeline.settings import ProcessingSettings
from orograph.stac.publishing.publish import publish_item
from orograph.stac.publishing.rebuild import rebuild
from tests.support.catalogue_world import cog_bytes, make_manifest

NOW = "2026-01-01T00:00:00Z"
TILES = tuple(f"E{4300 + 50 * n}N2650" for n in range(40))


@lru_cache
def manifest_of(number: int) -> Manifest:
    return make_manifest(None, TILES[number], seed=number)


def job_of(number: int) -> Job:
    manifest = manifest_of(number)
    return Job(Tile.parse(manifest.tile), manifest.sources, ProcessingSettings())


def contents_of(number: int) -> dict[str, bytes]:
    return {"dem.tif": cog_bytes(number), "thumbnail.png": b"png"}


def result_of(number: int, folder: Path) -> TileResult:
    """The tile's products as files, as `run_tile` leaves them."""
    manifest = manifest_of(number)
    products = []
    for asset in manifest.assets:
        path = folder / asset.filename
        path.write_bytes(contents_of(number)[asset.filename])
        products.append(Product(ProductInfo(**{name: getattr(asset, name) for name in ProductInfo.model_fields}), path))
    draft = {name: getattr(manifest, name) for name in Manifest.model_fields if name not in {"assets", "run_key"}}
    return TileResult(job_of(number), tuple(products), {**draft, "run_key": job_of(number).run_key})


def make_tile(store: Any, number: int) -> Manifest:
    """What a worker does with a tile, but for the science."""
    done = is_done(store, job_of(number))
    if done is None:
        with tempfile.TemporaryDirectory() as folder:
            done = commit_tile(store, result_of(number, Path(folder)))
    publish_item(store, done, now=NOW)
    return done


def make_world(store: Any, numbers: range = range(2)) -> None:
    """All tiles, then the catalogue: a whole run."""
    for number in numbers:
        make_tile(store, number)
    rebuild(store)


class WorldRunner:
    """`make_tile` as an engine runs it; picklable."""

    def __init__(self, store_url: str, endpoint_url: str | None = None) -> None:
        self.store_url = store_url
        self.endpoint_url = endpoint_url

    def __call__(self, job: Job, progress: ProgressCallback) -> Receipt:
        number = TILES.index(job.tile.id)
        progress("commit", 0.0)
        make_tile(open_store(self.store_url, endpoint_url=self.endpoint_url), number)
        progress("commit", 1.0)
        return Receipt(job.tile.id, job.run_key, Status.DONE, job.manifest_key)


def snapshot(store: Any) -> dict[str, str]:
    """Every object by key, as sha256; what tells the time of a run is left out."""
    return {
        info.key: hashlib.sha256(_timeless(info.key, store.get(info.key))).hexdigest()
        for info in store.list()
        if "/pending/" not in info.key
    }


def _timeless(key: str, data: bytes) -> bytes:
    if not key.endswith(".json") or key.endswith("manifest.json"):
        return data
    document = orjson.loads(data)
    # The items' own times are given (NOW); collections tell when they were rebuilt.
    return orjson.dumps(_without_times(document)) if document.get("type") == "Collection" else data


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_times(v) for k, v in value.items() if k not in {"created", "updated"}}
    return [_without_times(member) for member in value] if isinstance(value, list) else value


def items(store: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for info in store.list():
        if info.key.endswith(".json") and not info.key.endswith("manifest.json"):
            document = orjson.loads(store.get(info.key))
            if document.get("type") == "Feature":
                yield info.key, document


def half_published(store: Any) -> list[str]:
    """Items that refer to an asset which is missing or not what the item says: there must never be one."""
    from orograph.stac.documents import layout

    faults = []
    for key, item in items(store):
        for name, asset in item["assets"].items():
            target = layout.resolve(key, asset["href"])
            if target is None:
                continue
            try:
                data = store.get(target)
            except KeyError:
                faults.append(f"{key}: {name} is missing")
                continue
            wanted = asset.get("file:checksum")
            if wanted and wanted != f"1220{hashlib.sha256(data).hexdigest()}":
                faults.append(f"{key}: {name} has another checksum")
    return faults
