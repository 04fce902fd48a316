"""Links to map tiles of the published tiles, by the web-map-links extension.

Clients such as STAC Browser draw these tiles without reading a COG.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orograph.stac.documents.collections import TILES
from orograph.stac.documents.json import Document

WEB_MAP_LINKS_URI: Final = "https://stac-extensions.github.io/web-map-links/v1.2.0/schema.json"
_LAYERS: Final = (("relief", "Heights and relief", "heights"), ("hillshade", "Shaded relief", "relief"))
"""Layers of the map service, their titles, and the items' renders (`renders`) they correspond to."""


def with_map_links(document: Document, maps: str, renders: Mapping[str, Any] | None = None) -> Document:
    """Add links to the map service to an item or collection of tiles; others stay unchanged.

    Args:
        document: An item or a collection.
        maps: Address of the map service's layers.
        renders: The item's renders; a link names the render it corresponds to.
    """
    if TILES.id not in {document["id"], document.get("collection")}:
        return document
    links: list[Document] = []
    for layer, title, render in _LAYERS:
        named = {"render": render} if render in (renders or {}) else {}
        address = f"{maps}/{layer}"
        links += [
            {"rel": "xyz", "href": f"{address}/{{z}}/{{x}}/{{y}}.png", "type": "image/png", "title": title, **named},
            {
                "rel": "tilejson",
                "href": f"{address}/tilejson.json",
                "type": "application/json",
                "title": title,
                **named,
            },
        ]
    extensions = [*document.get("stac_extensions", ()), WEB_MAP_LINKS_URI]
    return {**document, "stac_extensions": extensions, "links": [*document["links"], *links]}
