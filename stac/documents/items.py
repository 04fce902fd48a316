"""STAC 1.1 items from manifests: products, footprint, sources and quality."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import numpy as np
from pyproj import Transformer

from orograph.pipeline.core.grid import TILE_CRS, Cell, Tile
from orograph.pipeline.core.palette import VOID_COLOUR, hex_colour, source_colour
from orograph.pipeline.manifest import Asset, Band, Manifest
from orograph.pipeline.sources.catalogue import Provider, Source
from orograph.pipeline.sources.redaction import public_href
from orograph.stac.documents.collections import EXPORTS, TILES, CollectionInfo
from orograph.stac.documents.dem_profile import PROFILE_URI, contributing, dem_fields, lineage, public_name
from orograph.stac.documents.json import SHA256_MULTIHASH, Document, pruned, timestamp
from orograph.stac.documents.layout import ROOT_KEY, collection_key, parse_square, source_key, version_key

STAC_VERSION: Final = "1.1.0"
EXTENSIONS: Final = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/version/v1.2.0/schema.json",
    "https://stac-extensions.github.io/grid/v1.1.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "https://stac-extensions.github.io/render/v2.0.0/schema.json",
    PROFILE_URI,
)
"""Every extension that items declare; an item declares those whose fields it has."""
_RASTER_URI: Final = EXTENSIONS[1]
_CLASSIFICATION_URI: Final = EXTENSIONS[6]
_RENDER_URI: Final = EXTENSIONS[7]
SOURCE_INDEX: Final = "source_index"
_STATISTICS: Final = ("minimum", "maximum", "mean", "stddev", "count", "valid_percent")
_LICENCE_ID: Final = re.compile(r"^[\w\-.+]+$", re.ASCII)
_EDGE_STEPS: Final = 10
_DEGREE_DIGITS: Final = 7

AssetHref = Callable[[str], str]
"""Turns a key of the store into the reference for the item."""


def item_from_manifest(
    manifest: Manifest,
    *,
    asset_href: AssetHref,
    created: str | None = None,
    predecessor: str | None = None,
    collection: CollectionInfo = TILES,
    item_id: str | None = None,
    nominal: str | None = None,
) -> Document:
    """The STAC item of a manifest, without its parent and other versions (see `orograph.stac.publishing.publish`).

    Args:
        manifest: The record of a finished tile or cell.
        asset_href: Turns keys into references, absolute or relative to the item's place.
        created: When the item was first published, RFC 3339 in UTC; now when None.
        predecessor: Key of the item this one replaces.
        collection: The collection whose item this is.
        item_id: Id of the item, if the collection has several items of the manifest.
        nominal: `datetime` of the item, shared by all items of a catalogue's epoch; `created` when None.

    Returns:
        A JSON-ready dict: footprint in WGS 84 degrees, densified along the projected edges; lengths in metres.

    Raises:
        BadIdentifier: the manifest's tile is neither a tile nor a cell.
    """
    square = parse_square(manifest.tile)
    made = created or timestamp()
    ring = footprint_deg(square)
    pixel_size = float(manifest.settings["pixel_size_m"])
    shown = collection.items_of(manifest)
    item_id = item_id or next(iter(shown), manifest.tile)
    assets = {asset.name: _asset(asset, asset_href, pixel_size) for asset in shown.get(item_id, ())}
    if SOURCE_INDEX in assets:
        assets[SOURCE_INDEX]["bands"][0]["classification:classes"] = _classes(manifest)
    renders = _renders(manifest, assets)
    absent = {
        _RASTER_URI: not any("raster:spatial_resolution" in asset for asset in assets.values()),
        _CLASSIFICATION_URI: SOURCE_INDEX not in assets,
        _RENDER_URI: not renders,
    }
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [uri for uri in EXTENSIONS if not absent.get(uri)],
        "id": item_id,
        "collection": collection.id,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": _bbox(ring),
        "properties": {
            **_properties(manifest, square, made, nominal or made, collection),
            **_titled(collection, item_id),
            **renders,
        },
        "links": [*_catalogue_links(collection, asset_href), *_links(manifest, asset_href, predecessor)],
        "assets": assets,
    }


@lru_cache(maxsize=1)
def _to_wgs84() -> Transformer:
    # ETRS89 and WGS 84 differ by the plate's drift, well below the size of a pixel: the null transformation it is.
    return Transformer.from_crs(3035, 4326, always_xy=True)


def footprint_deg(square: Tile | Cell) -> list[list[float]]:
    """Closed outer ring, counter-clockwise, longitude and latitude; the edges of a tile are densified every 5 km.

    In degrees, a straight edge of EPSG:3035 departs from a straight line by up to 150 m over 50 km, and by 1.5 m over 5
    km.
    """
    if isinstance(square, Cell):
        west, south, east, north = square.bounds_deg
        return [[west, south], [east, south], [east, north], [west, north], [west, south]]
    west, south, east, north = square.bounds_m
    forth = np.linspace(0.0, 1.0, _EDGE_STEPS, endpoint=False)
    back = 1.0 - forth
    zero, one = np.zeros(_EDGE_STEPS), np.ones(_EDGE_STEPS)
    x = np.concatenate([forth, one, back, zero, [0.0]]) * (east - west) + west
    y = np.concatenate([zero, forth, one, back, [0.0]]) * (north - south) + south
    lon, lat = _to_wgs84().transform(x, y)
    return [list(pair) for pair in zip(*(np.round(v, _DEGREE_DIGITS).tolist() for v in (lon, lat)), strict=True)]


def _bbox(ring: list[list[float]]) -> list[float]:
    lons, lats = zip(*ring, strict=True)
    return [min(lons), min(lats), max(lons), max(lats)]


def _titled(collection: CollectionInfo, item_id: str) -> Document:
    square, _, variant = item_id.partition("_")
    kind = "tile" if collection.squares is Tile else "cell"
    title = f"{collection.title.split(',')[0]}, {kind} {square}"
    return {"title": f"{title}, {variant.replace('_', ', ')}" if variant else title}


def _properties(
    manifest: Manifest, square: Tile | Cell, made: str, nominal: str, collection: CollectionInfo
) -> Document:
    sources = [ref.source for ref in contributing(manifest)]
    properties = {
        "title": "",
        **_dates(sources, nominal),
        "created": made,
        "updated": made,
        "gsd": float(manifest.settings["pixel_size_m"]),
        "license": merged_licence(sources),
        "providers": merged_providers(sources),
        "version": f"{manifest.processing_version}.{manifest.run_key[:12]}",
        "grid:code": ("EEA-" if isinstance(square, Tile) else "DEG1-") + manifest.tile,
        **_projection(manifest, square, collection),
        "processing:level": "L4",
        "processing:version": str(manifest.processing_version),
        "processing:datetime": made,
        "processing:lineage": lineage(manifest),
        "processing:software": dict(manifest.software),
        **dem_fields(manifest),
    }
    cleaned: Document = pruned(properties)
    return cleaned


def _dates(sources: Iterable[Source], nominal: str) -> Document:
    """The nominal date, the same for all items of an epoch, so that clients mosaic tiles as one time step.

    The interval is that of the sources' surveys, or the nominal date where no source is dated; `dem:date_basis` names
    which. Every item has an interval, so that no row of a geoparquet file is missing one that others have.
    """
    sources = tuple(sources)
    ends = [source.end for source in sources if source.end is not None]
    starts = [source.start for source in sources if source.start is not None]
    if not ends and not starts:
        return {
            "datetime": nominal,
            "start_datetime": nominal,
            "end_datetime": nominal,
            "dem:date_basis": "processing",
        }
    first, last = (timestamp(pick(starts + ends, key=_aware)) for pick in (min, max))
    # A source without an end may be newer than all dates of the others.
    basis = "acquisition" if all(source.end is not None for source in sources) else "partial"
    return {"datetime": nominal, "start_datetime": first, "end_datetime": last, "dem:date_basis": basis}


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _projection(manifest: Manifest, square: Tile | Cell, collection: CollectionInfo) -> Document:
    shape: Any
    transform: Any
    if isinstance(square, Tile):
        geobox = square.geobox(float(manifest.settings["pixel_size_m"]))
        shape, transform = list(geobox.shape.shape), list(geobox.affine)[:6]
        bounds, code = square.bounds_m, TILE_CRS
    else:
        # The formats of a cell have grids of their own (HGT repeats its edges), so only rasters of one grid name it.
        one_grid = collection is not EXPORTS
        shape, transform = (manifest.grid.get(name) if one_grid else None for name in ("shape", "transform"))
        bounds, code = square.bounds_deg, str(manifest.grid.get("crs", "EPSG:4258"))
    return {
        "proj:code": code,
        "proj:shape": shape,
        "proj:transform": transform,
        "proj:bbox": list(bounds),
    }


def merged_licence(sources: Iterable[Source]) -> str:
    """The licence of all sources if they share one that STAC can name, otherwise `other` (each is linked)."""
    names = {source.licence for source in sources}
    only = names.pop() if len(names) == 1 else ""
    return only if _LICENCE_ID.fullmatch(only) else "other"


def merged_providers(sources: Iterable[Source]) -> list[Document]:
    """Providers of the sources, each once with all its roles, and the processor."""
    found: dict[str, Provider] = {}
    for provider in (provider for source in sources for provider in source.providers):
        known = found.get(provider.name)
        if known is None:
            found[provider.name] = provider
            continue
        roles = tuple(dict.fromkeys((*known.roles, *provider.roles)))
        found[provider.name] = known.model_copy(update={"roles": roles, "url": known.url or provider.url})
    listed: list[Document] = [p.model_dump(mode="json", exclude_none=True) for p in found.values()]
    return [*listed, {"name": "Orograph", "roles": ["processor"], "url": "https://orograph.github.io/"}]


def _catalogue_links(collection: CollectionInfo, asset_href: AssetHref) -> list[Document]:
    return [
        {"rel": "root", "href": asset_href(ROOT_KEY), "type": "application/json", "title": "Orograph"},
        {
            "rel": "collection",
            "href": asset_href(collection_key(collection.id)),
            "type": "application/json",
            "title": collection.title,
        },
    ]


def _links(manifest: Manifest, asset_href: AssetHref, predecessor: str | None) -> list[Document]:
    links = [
        {
            "rel": "derived_from",
            "href": asset_href(version_key(TILES.id, prefix)),
            "type": "application/geo+json",
            "title": f"Tile {tile}",
        }
        for tile, prefix in sorted(manifest.settings.get("tiles", {}).items())
    ]
    for ref in contributing(manifest):
        source = ref.source
        links.append(
            {
                "rel": "derived_from",
                "href": asset_href(source_key(source.id)),
                "type": "application/json",
                "title": source.title,
            }
        )
        remote = [file.href for file in ref.files if file.href.startswith(("https://", "http://", "s3://"))]
        links.extend(
            {"rel": "derived_from", "href": public_href(href), "type": "image/tiff", "title": public_name(href)}
            for href in remote
        )
        if source.licence_url:
            licence = {"href": source.licence_url, "type": "text/html", "title": source.licence}
            links.append({"rel": "license", **licence})
    if predecessor is not None:
        links.append(
            {
                "rel": "predecessor-version",
                "href": asset_href(predecessor),
                "type": "application/geo+json",
                "title": "Earlier version",
            }
        )
    return [dict(pair) for pair in dict.fromkeys(tuple(link.items()) for link in links)]


def _asset(asset: Asset, asset_href: AssetHref, pixel_size_m: float) -> Document:
    is_raster = asset.media_type.startswith("image/tiff")
    document = {
        "href": asset_href(asset.key),
        "title": asset.title,
        "type": asset.media_type,
        "roles": list(asset.roles),
        "file:size": asset.size_bytes,
        "file:checksum": SHA256_MULTIHASH + asset.sha256,
        "raster:spatial_resolution": pixel_size_m if is_raster else None,
        "raster:sampling": "area" if is_raster else None,
        "bands": [_band(band) for band in asset.bands],
    }
    cleaned: Document = pruned(document)
    return cleaned


def _classes(manifest: Manifest) -> list[Document]:
    """Values of the source index as the classification extension describes them, in the colours of the file."""
    void = {"value": 0, "name": "void", "title": "Void", "color_hint": hex_colour(VOID_COLOUR), "nodata": True}
    sources = [
        {
            "value": number,
            "name": re.sub(r"[^0-9A-Za-z_-]", "_", ref.source.id),
            "title": ref.source.title,
            "color_hint": hex_colour(source_colour(ref.source.id)),
            "nodata": False,
        }
        for number, ref in enumerate(manifest.sources, start=1)
    ]
    return [void, *sources]


def _renders(manifest: Manifest, assets: Document) -> Document:
    """Renders of an item by the render extension, which titiler reads too: relief and tinted heights."""
    quality = manifest.quality
    renders: Document = {}
    if "hillshade" in assets:
        renders["relief"] = {"title": "Shaded relief", "assets": ["hillshade"], "resampling": "bilinear"}
    heights = next((name for name in ("elevation", "dem") if name in assets), None)
    if heights is not None:
        renders["heights"] = {
            "title": "Heights",
            "assets": [heights],
            "rescale": [[round(quality.height_min_m, 1), round(quality.height_max_m, 1)]],
            "colormap_name": "terrain",
            "resampling": "bilinear",
        }
    return {"renders": renders} if renders else {}


def _band(band: Band) -> Document:
    statistics = {name: band.statistics[name] for name in _STATISTICS if name in band.statistics}
    return {**band.model_dump(mode="json", exclude={"statistics"}), "statistics": statistics}
