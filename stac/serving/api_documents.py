"""The fixed documents of the search API: landing page, conformance, collections, queryables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from orograph.stac.documents import layout
from orograph.stac.documents.json import ITEM_TYPE, Document
from orograph.stac.serving.map_links import with_map_links
from orograph.stac.serving.openapi30 import OPENAPI30_TYPE

SCHEMA_TYPE: Final = "application/schema+json"
_QUERYABLES_REL: Final = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
_STAC_API: Final = "https://api.stacspec.org/v1.0.0"

CONFORMANCE: Final = (
    f"{_STAC_API}/core",
    f"{_STAC_API}/collections",
    f"{_STAC_API}/ogcapi-features",
    f"{_STAC_API}/ogcapi-features#filter",
    f"{_STAC_API}/item-search",
    f"{_STAC_API}/ogcapi-features#sort",
    f"{_STAC_API}/ogcapi-features#fields",
    f"{_STAC_API}/item-search#filter",
    f"{_STAC_API}/item-search#sort",
    f"{_STAC_API}/item-search#fields",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
    "http://www.opengis.net/spec/cql2/1.0/conf/advanced-comparison-operators",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-spatial-operators",
)


def landing_document(base: str, collections: Iterable[Document]) -> Document:
    """The landing page, a STAC catalogue whose children are the collections."""
    children = [_link("child", f"{base}/collections/{c['id']}", title=c.get("title")) for c in collections]
    return {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": "orograph",
        "title": "Orograph: European terrain model",
        "description": "One seamless, vertically harmonised terrain model from open elevation data, tile by tile.",
        "conformsTo": list(CONFORMANCE),
        "links": [
            _link("self", f"{base}/"),
            _link("root", f"{base}/"),
            _link("service-desc", f"{base}/openapi.json", OPENAPI30_TYPE),
            _link("service-doc", f"{base}/docs", "text/html"),
            _link("conformance", f"{base}/conformance"),
            _link("data", f"{base}/collections"),
            {**_link("search", f"{base}/search", ITEM_TYPE), "method": "GET"},
            {**_link("search", f"{base}/search", ITEM_TYPE), "method": "POST"},
            _link(_QUERYABLES_REL, f"{base}/queryables", SCHEMA_TYPE),
            *children,
        ],
    }


def public_collection(collection: Document, base: str, files: str, maps: str | None = None) -> Document:
    """A published collection with links of the API instead of the static catalogue, without internal members."""
    here = f"{base}/collections/{collection['id']}"
    key = layout.collection_key(collection["id"])
    kept = [link for link in collection["links"] if link["rel"] == "license"]
    document = {
        **{name: value for name, value in collection.items() if name != "dem:blocks"},
        "links": [
            _link("self", here),
            _link("root", f"{base}/"),
            _link("parent", f"{base}/"),
            _link("items", f"{here}/items", ITEM_TYPE),
            _link(_QUERYABLES_REL, f"{here}/queryables", SCHEMA_TYPE),
            _link("canonical", f"{files}/{key}"),
            *kept,
        ],
        "assets": {
            name: {**asset, "href": f"{files}/{layout.resolve(key, asset['href'])}"}
            for name, asset in collection["assets"].items()
        },
    }
    return document if maps is None else with_map_links(document, maps)


def collections_document(collections: Iterable[Document], base: str, files: str, maps: str | None = None) -> Document:
    """The document of all collections."""
    return {
        "collections": [public_collection(collection, base, files, maps) for collection in collections],
        "links": [_link("self", f"{base}/collections"), _link("root", f"{base}/"), _link("parent", f"{base}/")],
    }


_NUMBER: Final = {"type": "number"}
_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}

QUERYABLES: Final[Document] = {
    "id": {"title": "Tile or cell", **_TEXT},
    "collection": {"title": "Collection", **_TEXT},
    "geometry": {"title": "Footprint", "format": "geometry-polygon"},
    "datetime": {"title": "Nominal date of the catalogue's epoch", **_TIME},
    "start_datetime": {"title": "Begin of the oldest survey", **_TIME},
    "end_datetime": {"title": "End of the newest survey", **_TIME},
    "created": {"title": "First published", **_TIME},
    "updated": {"title": "Published", **_TIME},
    "gsd": {"title": "Pixel, metres", **_NUMBER},
    "license": {"title": "Licence", **_TEXT},
    "version": {"title": "Version", **_TEXT},
    "dem:surface": {"title": "Surface", "enum": ["DTM", "DSM", "mixed"]},
    "dem:vertical_datum": {"title": "Vertical frame", **_TEXT},
    "dem:run_key": {"title": "Run key", **_TEXT},
    "dem:vertical_accuracy_le90_m": {"title": "Linear error at 90 %, metres", **_NUMBER},
    "dem:uncertainty_median_m": {"title": "Median standard deviation of a height, metres", **_NUMBER},
    "dem:border_step_m": {"title": "Step along borders of sources, metres", **_NUMBER},
    "dem:void_fraction": {"title": "Part without heights", **_NUMBER},
    "dem:filled_fraction": {"title": "Part filled", **_NUMBER},
}
"""Queryable properties by name, whether or not a published item has them."""


def queryables_document(url: str) -> Document:
    """Document of the queryable properties; filters may use the items' other scalar properties too."""
    return {
        "$schema": "https://json-schema.org/draft/2019-09/schema",
        "$id": url,
        "type": "object",
        "title": "Queryables",
        "properties": QUERYABLES,
        "additionalProperties": True,
    }


def _link(rel: str, href: str, media_type: str = "application/json", title: str | None = None) -> Document:
    link = {"rel": rel, "href": href, "type": media_type}
    return link if title is None else {**link, "title": title}
