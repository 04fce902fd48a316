"""A block's summary is what a collection needs, and summaries of blocks merge to that of their items."""

from orograph.stac.documents.summary import distinct, merged, one_per_name, summarise, union_bbox


def item(number, **properties):
    shared = {
        "license": "CC0-1.0",
        "gsd": 10.0,
        "dem:surface": "DTM",
        "dem:vertical_datum": "EPSG:5621",
        "proj:code": "EPSG:3035",
    }
    return {
        "id": f"E{number}",
        "bbox": [number, 0, number + 1, 1],
        "links": [{"rel": "license", "href": "https://l/", "title": "L"}, {"rel": "self", "href": "x"}],
        "assets": {"dem": {"href": "x.tif", "type": "image/tiff", "roles": ["data"]}},
        "properties": {"datetime": f"202{number}-01-01T00:00:00Z", **shared, **properties},
    }


ITEMS = [item(1), item(2, gsd=30.0, providers=[{"name": "A", "roles": ["producer"]}]), item(3, license="CC-BY-4.0")]


def test_blocks_together_are_their_items_together():
    whole = summarise(ITEMS)
    joined = merged({"a": summarise(ITEMS[:1]), "b": summarise(ITEMS[1:])})
    assert whole["count"] == 3
    assert whole["bbox"] == [1, 0, 4, 1]
    assert whole["interval"] == ["2021-01-01T00:00:00Z", "2023-01-01T00:00:00Z"]
    assert whole["licences"] == ["CC-BY-4.0", "CC0-1.0"]
    assert whole["gsd"] == [10.0, 30.0]
    assert whole["assets"] == {"dem": {"type": "image/tiff", "roles": ["data"]}}
    assert joined == whole


def test_providers_are_named_once_with_all_their_roles():
    found = one_per_name([{"name": "A", "roles": ["host"]}, {"name": "A", "url": "u", "roles": ["producer", "host"]}])
    assert found == [{"name": "A", "url": "u", "roles": ["host", "producer"]}]


def test_values_are_distinct_and_sorted():
    assert distinct([30.0, 4.0, 30.0]) == [4.0, 30.0]
    assert distinct(["b", "a", "b"]) == ["a", "b"]
    assert union_bbox([[0, 0, 1, 1], [-1, 2, 0, 3]]) == [-1, 0, 1, 3]
