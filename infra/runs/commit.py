"""How a tile's files become a result: immutable assets first, the manifest last.

1. Every asset goes to `tiles/<tile>/<run_key>/`, put-if-absent.
2. It is read back from the store and its sha256 compared.
3. `manifest.json` is put last, if absent: it exists exactly when the tile is done.

Same run key, same bytes; so a second worker on the same tile finds what it was about to write and succeeds too. The
catalogue item that points here is swapped afterwards, by `orograph.stac.publishing.publish`.
"""

from __future__ import annotations

import contextlib
import time

from orograph.infra.stores.base import Store, sha256_of, sha256_of_object
from orograph.pipeline.errors import CatalogueError, ObjectExists, ResultDiffers, StoreUnavailable
from orograph.pipeline.job import Job, TileResult
from orograph.pipeline.manifest import Asset, Manifest, Product

_MANIFEST_TYPE = "application/json"


def commit_tile(store: Store, result: TileResult) -> Manifest:
    """Put a tile's products and its manifest into the store; safe to repeat and to race.

    Raises:
        ResultDiffers: the store already holds other bytes under the same run key, or gives back others than it got.
        StoreError, StoreUnavailable: the store refuses or does not answer; nothing half-written is visible.
    """
    job = result.job
    assets = tuple(_commit_product(store, job, product) for product in result.products)
    manifest = result.manifest(assets)
    data = manifest.to_json()
    try:
        store.put(job.manifest_key, data, if_absent=True, media_type=_MANIFEST_TYPE)
    except ObjectExists:
        theirs = store.get(job.manifest_key)
        if theirs != data:
            raise ResultDiffers(
                f"{job.manifest_key} holds another manifest ({sha256_of(theirs)[:12]}, ours {sha256_of(data)[:12]})",
                tile=job.tile.id,
                stage="commit",
                remedy=_differs_remedy(job),
            ) from None
    # As a later run will read it: key order in what is made of it must not depend on who was first.
    return Manifest.from_json(data)


def is_done(store: Store, job: Job) -> Manifest | None:
    """The manifest, when the job was finished by anyone at any time; one request.

    Raises:
        CatalogueError: there is a manifest but it is damaged or another job's.
    """
    try:
        data = store.get(job.manifest_key)
    except KeyError:
        return None
    remedy = f"delete {job.manifest_key} and run again: the tile will be made anew"
    try:
        manifest = Manifest.from_json(data)
    except ValueError as error:
        raise CatalogueError(f"{job.manifest_key} is damaged: {error}", tile=job.tile.id, remedy=remedy) from error
    if (manifest.tile, manifest.run_key) != (job.tile.id, job.run_key):
        raise CatalogueError(f"{job.manifest_key} is not this job's manifest", tile=job.tile.id, remedy=remedy)
    return manifest


def _commit_product(store: Store, job: Job, product: Product) -> Asset:
    key = f"{job.prefix}/{product.info.filename}"
    sha256 = sha256_of(product.path)
    size_bytes = product.path.stat().st_size
    # An interrupted run or another worker may have been first; the comparison below decides.
    with contextlib.suppress(ObjectExists):
        store.put(key, product.path, if_absent=True, media_type=product.info.media_type)
    _verify(store, job, key, (sha256, size_bytes))
    return Asset(**product.info.model_dump(), key=key, size_bytes=size_bytes, sha256=sha256)


def _verify(store: Store, job: Job, key: str, expected: tuple[str, int]) -> None:
    """Compare what the store gives back with what was meant; a bad read gets a second chance, a bad object does not."""
    found = ("", 0)
    for wait_s in (0.0, 0.2):
        time.sleep(wait_s)
        try:
            found = sha256_of_object(store, key)
        except KeyError:
            raise StoreUnavailable(f"{key} is gone after it was written", tile=job.tile.id, stage="commit") from None
        if found == expected:
            return
    raise ResultDiffers(
        f"{key} holds {found[1]} bytes of sha256 {found[0][:12]}, expected {expected[1]} of {expected[0][:12]}",
        tile=job.tile.id,
        stage="commit",
        remedy=_differs_remedy(job),
    )


def _differs_remedy(job: Job) -> str:
    return (
        f"if no manifest refers to it, delete {job.prefix}/ and run again; if it recurs, the result is not reproducible"
    )
