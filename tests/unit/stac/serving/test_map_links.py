"""Items of tiles link to their map tiles, others do not."""

from orograph.stac.documents.collections import TILES
from orograph.stac.serving.map_links import WEB_MAP_LINKS_URI, with_map_links

ITEM = {"id": "E4300N2650", "collection": TILES.id, "links": [], "stac_extensions": ["x"]}


def test_a_tile_has_links_to_the_layers():
    document = with_map_links(ITEM, "https://host/maps", {"heights": {}})
    assert document["stac_extensions"] == ["x", WEB_MAP_LINKS_URI]
    assert [(link["rel"], link.get("render")) for link in document["links"]] == [
        ("xyz", "heights"), ("tilejson", "heights"), ("xyz", None), ("tilejson", None),
    ]  # fmt: skip
    assert document["links"][0]["href"] == "https://host/maps/relief/{z}/{x}/{y}.png"
    assert ITEM["links"] == []


def test_other_documents_stay():
    other = {"id": "glo-30", "links": []}
    assert with_map_links(other, "https://host/maps") is other
