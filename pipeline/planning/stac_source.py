"""Files of a source that a STAC collection describes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.errors import SourceMissing
from orograph.pipeline.planning.areas import footprint_of
from orograph.pipeline.sources.catalogue import StacLocation


def _stac_items(
    location: StacLocation, bounds_deg: tuple[float, float, float, float], source_id: str
) -> Iterator[tuple[str, BaseGeometry]]:
    """Asset hrefs and footprints of the items of a STAC API or a static collection that touch the box."""
    import pystac
    from pystac_client import Client
    from pystac_client.exceptions import APIError

    wanted = box(*bounds_deg)
    try:
        catalog = pystac.read_file(location.href)
        if not isinstance(catalog, pystac.Catalog):
            items = [catalog] if isinstance(catalog, pystac.Item) else []
        elif "conformsTo" in catalog.extra_fields:
            collections = None if location.collection is None else [location.collection]
            items = list(Client.open(location.href).search(bbox=bounds_deg, collections=collections).items())
        else:
            items = list(catalog.get_items(recursive=True))
    except (OSError, pystac.STACError, APIError, KeyError, ValueError) as error:
        raise SourceMissing(
            f"STAC collection {location.href} cannot be read: {error}", source=source_id, remedy="check the href"
        ) from error
    for item in items:
        wrong_collection = location.collection is not None and item.collection_id != location.collection
        if wrong_collection or item.bbox is None or not box(*_flat(item.bbox)).intersects(wanted):
            continue
        asset = item.get_assets().get(location.asset)
        href = None if asset is None else asset.get_absolute_href()
        if href is None:
            raise SourceMissing(
                f"item {item.id} has no asset {location.asset!r}", source=source_id, remedy="set `asset` of the source"
            )
        yield href, footprint_of(_flat(item.bbox), "EPSG:4258")


def _flat(bbox: Sequence[float]) -> tuple[float, float, float, float]:
    """West, south, east, north of a STAC bbox with or without heights."""
    return bbox[0], bbox[1], bbox[-(len(bbox) // 2)], bbox[-1]
