"""The service's real parts, from the environment: store, engine, planner, runner, publisher."""

from __future__ import annotations

from infra.engine import Receipt
from infra.service.dispatch import Publisher
from infra.store import Store
from pipeline.errors import CatalogueError
from pipeline.job import Manifest
from stac.publish import publish_item, rebuild


def publisher_of(store: Store) -> Publisher:
    """Publishes a finished run's item and brings the catalogue up to it."""

    def publish(receipt: Receipt) -> str:
        try:
            manifest = Manifest.from_json(store.get(receipt.manifest_key))
        except (KeyError, ValueError) as error:
            raise CatalogueError(f"{receipt.manifest_key} cannot be read", tile=receipt.tile) from error
        key = publish_item(store, manifest)
        rebuild(store)
        return key

    return publish
