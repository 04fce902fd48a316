"""Listings of sources, each read from the bytes its kind of service gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely

from orograph.pipeline.errors import SourceCorrupt, SourceMissing
from orograph.pipeline.planning.indexes import read_local
from orograph.pipeline.sources.catalogue import AtomFeed, FeatureService, StacLocation, TileIndex
from orograph.pipeline.sources.listings import read_listing

PLACES = {"a.tif": shapely.box(7.0, 50.0, 7.1, 50.1), "b.tif": shapely.box(7.1, 50.0, 7.2, 50.1)}


def write_index(path: Path, crs: str = "EPSG:4258", column: str = "location") -> Path:
    wkb = shapely.to_wkb(np.array(list(PLACES.values())))
    names = np.array([f"data/{name}" for name in PLACES], dtype=object)
    pyogrio.raw.write(path, wkb, [names], np.array([column]), crs=crs, geometry_type="Polygon")
    return path


def check(entries, base: str) -> None:
    assert [href for href, _ in entries] == [f"{base}/data/a.tif", f"{base}/data/b.tif"]
    for (_, found), wanted in zip(entries, PLACES.values(), strict=True):
        assert found.symmetric_difference(wanted).area < 1e-9


@pytest.mark.parametrize("suffix", ["gpkg", "fgb", "geojson", "shp"])
def test_vector_tile_indexes(tmp_path, suffix):
    path = write_index(tmp_path / f"index.{suffix}")
    entries = read_listing(TileIndex(href=str(path)), read_local, "made")
    check(sorted(entries, key=lambda entry: entry[0]), str(tmp_path))


def test_a_remote_tile_index_is_read_from_its_bytes(tmp_path):
    data = write_index(tmp_path / "index.gpkg").read_bytes()
    entries = read_listing(TileIndex(href="https://host/dtm/index.gpkg"), lambda _: data, "made")
    check(entries, "https://host/dtm")


def test_a_gti_description_names_its_index(tmp_path):
    write_index(tmp_path / "index.gpkg", column="file")
    text = "<GDALTileIndexDataset><IndexDataset>index.gpkg</IndexDataset><LocationField>file</LocationField></GDALTileIndexDataset>"
    (tmp_path / "made.gti").write_text(text)
    check(read_listing(TileIndex(href=str(tmp_path / "made.gti")), read_local, "made"), str(tmp_path))


def test_a_column_that_is_not_there_is_named(tmp_path):
    path = write_index(tmp_path / "index.gpkg", column="file")
    with pytest.raises(SourceCorrupt, match="no column 'location'; columns are file"):
        read_listing(TileIndex(href=str(path)), read_local, "made")


def test_csv_with_and_without_heading(tmp_path):
    plain = tmp_path / "plain.csv"
    plain.write_text("https://host/a.tif\nhttps://host/b.tif\n")
    assert read_listing(TileIndex(href=str(plain)), read_local, "made") == [
        ("https://host/a.tif", None),
        ("https://host/b.tif", None),
    ]
    headed = tmp_path / "headed.csv"
    headed.write_text("url,west,south,east,north\ndata/a.tif,7,50,7.1,50.1\n")
    ((href, shape),) = read_listing(TileIndex(href=str(headed)), read_local, "made")
    assert href == str(tmp_path / "data/a.tif")
    assert shape.equals(PLACES["a.tif"])


def test_features_are_read_page_by_page():
    def feature(name):
        return {
            "type": "Feature",
            "geometry": shapely.geometry.mapping(PLACES[name]),
            "properties": {},
            "links": [{"rel": "enclosure", "href": f"../data/{name}"}],
        }

    asked = []

    def read(href):
        asked.append(href)
        if "offset" in href:
            return json.dumps({"features": [feature("b.tif")], "links": []}).encode()
        return json.dumps({"features": [feature("a.tif")], "links": [{"rel": "next", "href": "?offset=1"}]}).encode()

    place = FeatureService(href="https://host/collections/items")
    entries = read_listing(place, read, "made", (6.9, 49.9, 7.3, 50.2))
    check(entries, "https://host")
    assert "bbox=6.9" in asked[0]
    assert len(asked) == 2


def test_atom_feeds_are_followed_and_latitude_comes_first():
    top = """<feed xmlns="http://www.w3.org/2005/Atom"><entry>
      <link rel="alternate" type="application/atom+xml" href="set.atom"/></entry></feed>"""
    inner = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:georss="http://www.georss.org/georss">
      <entry><georss:polygon>50 7 50 7.1 50.1 7.1 50.1 7 50 7</georss:polygon>
        <link rel="section" type="image/tiff" href="data/a.tif"/></entry>
      <entry><georss:box>50 7.1 50.1 7.2</georss:box><link rel="section" href="data/b.tif"/>
        <link rel="section" href="notes.zip"/></entry></feed>"""
    documents = {"https://host/top.atom": top, "https://host/set.atom": inner}
    place = AtomFeed(href="https://host/top.atom", pattern="*.tif")
    check(read_listing(place, lambda href: documents[href].encode(), "made"), "https://host")


def test_an_atom_bomb_is_refused():
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]><feed xmlns="http://www.w3.org/2005/Atom">&b;</feed>'
    with pytest.raises(SourceCorrupt):
        read_listing(AtomFeed(href="https://host/x"), lambda _: bomb.encode(), "made")


def test_each_document_of_a_static_collection_is_read_once():
    root = {
        "type": "Collection",
        "links": [{"rel": "item", "href": f"./{name}.json"} for name in PLACES]
        + [{"rel": "item", "href": "./a.tif.json"}],
    }
    read_hrefs = []

    def read(href):
        read_hrefs.append(href)
        if href.endswith("collection.json"):
            return json.dumps(root).encode()
        name = href.rsplit("/", 1)[1].removesuffix(".json")
        item = {"id": name, "bbox": PLACES[name].bounds, "assets": {"data": {"href": f"data/{name}"}}}
        return json.dumps({"type": "Feature", **item}).encode()

    place = StacLocation(href="https://host/collection.json")
    check(read_listing(place, read, "made"), "https://host")
    assert len(read_hrefs) == 3
    with pytest.raises(SourceMissing, match="no asset 'dtm'"):
        read_listing(place.model_copy(update={"asset": "dtm"}), read, "made")


def test_an_error_page_is_no_listing():
    with pytest.raises(SourceCorrupt, match="cannot be read"):
        read_listing(StacLocation(href="https://host/c.json"), lambda _: b"<html>", "made")
