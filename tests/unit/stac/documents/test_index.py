import io
import json

import pyarrow.parquet as pq

from orograph.stac.documents.index import decode_items, encode_items, with_keys
from orograph.stac.documents.items import item_from_manifest
from orograph.stac.documents.layout import item_key
from tests.support.catalogue_world import make_manifest, make_source


def items():
    for number, tile in enumerate(("E4300N2650", "E4350N2650", "E4400N2650")):
        sources = (make_source(f"source-{number}", end=None, start=None),) if number == 1 else None
        manifest = make_manifest(None, tile, sources=sources)
        yield item_from_manifest(manifest, asset_href=str, created="2026-01-01T00:00:00Z")


def test_items_come_back_as_they_were():
    originals = list(items())
    assert decode_items(encode_items(originals)) == originals


def test_equal_items_are_equal_bytes():
    originals = list(items())
    assert encode_items(originals) == encode_items(reversed(originals))


def test_file_is_geoparquet():
    table = pq.read_table(io.BytesIO(encode_items(list(items()))))
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["primary_column"] == "geometry"
    assert geo["columns"]["geometry"]["encoding"] == "WKB"
    assert str(table.schema.field("datetime").type) == "timestamp[us, tz=UTC]"
    assert {"id", "bbox", "gsd", "dem:surface"} <= set(table.column_names)


def test_references_become_keys_or_urls():
    manifest = make_manifest(None)
    key = item_key("dem-eu", manifest.tile)
    item = {"links": [], "assets": {"dem": {"href": "../../../../tiles/x/dem.tif"}, "far": {"href": "s3://a/b"}}}
    assert with_keys(item, key)["assets"]["dem"]["href"] == "tiles/x/dem.tif"
    moved = with_keys(item, key, "https://data.example/eu/")["assets"]
    assert moved["dem"]["href"] == "https://data.example/eu/tiles/x/dem.tif"
    assert moved["far"]["href"] == "s3://a/b"


def test_members_only_later_items_have_are_kept():
    first, second, third = items()
    del first["properties"]["dem:operations"]
    del first["assets"]["thumbnail"]
    assert decode_items(encode_items([first, second, third])) == [first, second, third]


def test_members_of_different_kinds_are_kept():
    first, second, third = items()
    second["assets"]["dem"]["bands"][0]["nodata"] = "nan"
    assert decode_items(encode_items([first, second, third])) == [first, second, third]
