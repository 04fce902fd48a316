"""Links to map tiles of the published tiles, as the web-map-links extension names them.

Clients such as STAC Browser draw them at once, without reading a COG.
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
    """The item or collection with links to the map service, if it is of the tiles that the service draws.

    Args:
        document: An item or a collection.
        maps: Address below which the layers are found.
        renders: The item's renders; a link names the one it corresponds to.
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
