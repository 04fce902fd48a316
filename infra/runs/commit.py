"""Commits a tile's files to the store: immutable assets first, the manifest last.

1. The files form a set, named by their content: `tiles/<tile>/<run key>/<set>/`. Each is put there, put-if-absent.
2. It is read back from the store and its sha256 compared.
3. `tiles/<tile>/<run key>/manifest.json` is put last, if absent. It exists exactly when the tile is done, and names the
   set that is the result.

Workers with the same bytes write the same set. A worker whose processor rounds a network's last bit differently writes
a set of its own, so the assets of two workers never mix. The first manifest decides; a worker that comes second returns
that one and removes what it wrote. The winner removes what killed workers left of other sets. The catalogue item is
swapped afterwards, by `orograph.stac.publishing.publish`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Protocol

from orograph.infra.stores.base import Store, sha256_of, sha256_of_object
from orograph.pipeline.core.runnable import Runnable
from orograph.pipeline.errors import CatalogueError, ObjectExists, ResultDiffers, StoreError, StoreUnavailable
from orograph.pipeline.manifest import Asset, Manifest, Product, asset_set
from orograph.stac.publishing.leftovers import remove_leftovers

_LOG = logging.getLogger(__name__)
_MANIFEST_TYPE = "application/json"


class Result(Protocol):
    """A job's files on local disk, and its manifest: `TileResult`, `CellResult`."""

    @property
    def job(self) -> Runnable:
        """The job of this result."""
        ...

    @property
    def products(self) -> tuple[Product, ...]:
        """The files."""
        ...

    def manifest(self, assets: tuple[Asset, ...]) -> Manifest:
        """The manifest, once the files are committed."""
        ...


def commit_tile(store: Store, result: Result) -> Manifest:
    """Put a tile's products and its manifest into the store; safe to repeat, also by concurrent workers.

    Returns:
        The manifest in the store: this worker's, or that of a worker that was first.

    Raises:
        ResultDiffers: the store returns other bytes than it was given.
        CatalogueError: another worker's manifest is there but damaged.
        StoreError, StoreUnavailable: the store fails or does not answer; no partial result is visible.
    """
    job = result.job
    assets = _assets(job, result.products)
    data = result.manifest(assets).to_json()
    if all(_put_asset(store, job, asset, product) for asset, product in zip(assets, result.products, strict=True)):
        with contextlib.suppress(ObjectExists):
            store.put(job.manifest_key, data, if_absent=True, media_type=_MANIFEST_TYPE)
    # As a later run will read it: key order in documents made from it must not depend on who was first.
    winner = _winner(store, job)
    ours = Manifest.from_json(data)
    if winner != ours:
        _report_difference(ours, winner)
    with contextlib.suppress(StoreError, StoreUnavailable):
        remove_leftovers(store, winner)
    return winner


def is_done(store: Store, job: Runnable) -> Manifest | None:
    """The manifest if the job was finished before, by any worker; one request.

    Raises:
        CatalogueError: there is a manifest but it is damaged or another job's.
    """
    try:
        data = store.get(job.manifest_key)
    except KeyError:
        return None
    remedy = f"delete {job.prefix}/ and run again: the tile will be made again"
    try:
        manifest = Manifest.from_json(data)
    except ValueError as error:
        raise CatalogueError(f"{job.manifest_key} is damaged: {error}", tile=job.id, remedy=remedy) from error
    if (manifest.tile, manifest.run_key) != (job.id, job.run_key):
        raise CatalogueError(f"{job.manifest_key} is not this job's manifest", tile=job.id, remedy=remedy)
    return manifest


def _assets(job: Runnable, products: tuple[Product, ...]) -> tuple[Asset, ...]:
    """The products as assets of one set."""
    digests = [sha256_of(product.path) for product in products]
    name = asset_set({product.info.filename: digest for product, digest in zip(products, digests, strict=True)})
    return tuple(
        Asset(
            **product.info.model_dump(),
            key=f"{job.prefix}/{name}/{product.info.filename}",
            size_bytes=product.path.stat().st_size,
            sha256=digest,
        )
        for product, digest in zip(products, digests, strict=True)
    )


def _winner(store: Store, job: Runnable) -> Manifest:
    """The manifest that is in the store now."""
    manifest = is_done(store, job)
    if manifest is None:
        raise StoreUnavailable(f"{job.manifest_key} is gone after it was written", tile=job.id, stage="commit")
    return manifest


def _report_difference(ours: Manifest, winner: Manifest) -> None:
    """Log that another worker's result stands; with equal arithmetic the bytes should have been equal too."""
    expected = ours.numerics != winner.numerics or ours.software != winner.software
    _LOG.log(
        logging.INFO if expected else logging.WARNING,
        "tile %s: another worker committed first, with other bytes (numerics %s, here %s); its result stands",
        ours.tile,
        winner.numerics or "none",
        ours.numerics or "none",
    )


def _put_asset(store: Store, job: Runnable, asset: Asset, product: Product) -> bool:
    """Put a product and compare it; False where another worker finished the job and removed this set meanwhile."""
    # An interrupted run or another worker may have been first; the comparison below decides.
    with contextlib.suppress(ObjectExists):
        store.put(asset.key, product.path, if_absent=True, media_type=asset.media_type)
    expected, found = (asset.sha256, asset.size_bytes), ("", 0)
    # A bad read gets a second chance, a bad object does not.
    for wait_s in (0.0, 0.2):
        time.sleep(wait_s)
        try:
            found = sha256_of_object(store, asset.key)
        except KeyError:
            if store.head(job.manifest_key) is not None:
                return False
            raise StoreUnavailable(f"{asset.key} is gone after it was written", tile=job.id, stage="commit") from None
        if found == expected:
            return True
    raise ResultDiffers(
        f"{asset.key} contains {found[1]} bytes of sha256 {found[0][:12]}, expected {expected[1]} of {expected[0][:12]}",
        tile=job.id,
        stage="commit",
        remedy=f"if no manifest refers to it, delete {asset.key.rsplit('/', 1)[0]}/ and run again",
    )
