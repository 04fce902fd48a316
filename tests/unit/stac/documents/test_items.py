import json
from itertools import pairwise

import pytest
from shapely.geometry import Polygon, shape

from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.core.palette import hex_colour, source_colour
from orograph.pipeline.manifest import CoregistrationRecord
from orograph.pipeline.sources.refs import HorizontalOperation
from orograph.stac.documents.dem_profile import lineage
from orograph.stac.documents.items import footprint_deg, item_from_manifest, merged_licence, merged_providers
from orograph.stac.documents.layout import item_key, relative
from orograph.stac.documents.schemas import SchemaLibrary
from tests.support.catalogue_world import make_manifest, make_source


@pytest.fixture(scope="module")
def library(shared):
    return SchemaLibrary(shared("stac-schemas"))


def test_item_satisfies_all_its_schemas(library):
    manifest = make_manifest(None)
    item = item_from_manifest(manifest, asset_href=lambda key: "../" + key, created="2026-01-01T00:00:00Z")
    assert len(item["stac_extensions"]) == 7 + sum(name in item["properties"] for name in ("renders",))
    assert list(library.faults(item)) == []


@pytest.mark.parametrize(
    ("path", "bad"),
    [
        (("properties", "datetime"), None),
        (("properties", "proj:shape"), [1]),
        (("properties", "dem:surface"), "roof"),
        (("properties", "dem:sources"), []),
        (("properties", "grid:code"), "lower case"),
        (("properties", "proj:code"), 3035),
        (("assets", "dem", "file:checksum"), "XYZ"),
        (("assets", "dem", "raster:sampling"), "somehow"),
    ],
)
def test_schemas_catch(library, path, bad):
    item = json.loads(json.dumps(item_from_manifest(make_manifest(None), asset_href=str)))
    place = item
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = bad
    assert list(library.faults(item))


def test_the_interval_is_of_what_contributed_and_the_date_is_nominal():
    old = make_source("old", start="2001-01-01T00:00:00Z", end="2002-01-01T00:00:00Z")
    new = make_source("new", start="2020-01-01T00:00:00Z", end="2024-01-01T00:00:00Z")
    unused = make_source("unused", end="2030-01-01T00:00:00Z")
    manifest = make_manifest(None, sources=(old, new, unused), fractions={"old": 0.5, "new": 0.5, "unused": 0.0})
    day = "2026-02-03T00:00:00Z"
    properties = item_from_manifest(manifest, asset_href=str, nominal=day)["properties"]
    assert properties["start_datetime"] == "2001-01-01T00:00:00Z"
    assert (properties["datetime"], properties["end_datetime"]) == (day, "2024-01-01T00:00:00Z")
    assert properties["dem:date_basis"] == "acquisition"
    assert [source["id"] for source in properties["dem:sources"]] == ["old", "new"]


def test_datetime_without_dates_is_that_of_the_processing_and_says_so():
    manifest = make_manifest(None, sources=(make_source(start=None, end=None),))
    properties = item_from_manifest(manifest, asset_href=str, created="2026-02-03T00:00:00Z")["properties"]
    assert properties["datetime"] == "2026-02-03T00:00:00Z"
    assert properties["dem:date_basis"] == "processing"
    assert properties["start_datetime"] == properties["end_datetime"] == properties["datetime"]


def with_href(manifest, href):
    """The manifest with another reference to the first source's first file."""
    first, *others = manifest.sources
    file = first.files[0].model_copy(update={"href": href})
    return manifest.model_copy(update={"sources": (first.model_copy(update={"files": (file,)}), *others)})


def test_no_local_path_is_published():
    manifest = with_href(make_manifest(None), "/home/anna/secret/be-dtm.tif")
    item = item_from_manifest(manifest, asset_href=str)
    assert "/home/anna" not in json.dumps(item)
    assert item["properties"]["dem:sources"][0]["files"][0]["name"] == "be-dtm.tif"


def test_signed_urls_lose_their_signature():
    manifest = with_href(make_manifest(None), "https://data.example/be-dtm.tif?X-Amz-Signature=5ec2e7")
    item = item_from_manifest(manifest, asset_href=str)
    assert "5ec2e7" not in json.dumps(item)


def test_licence_and_providers_are_merged():
    one, two = make_source("one"), make_source("two", providers=({"name": "Survey", "roles": ("host",)},))
    assert merged_licence([one, two]) == "CC-BY-4.0"
    assert merged_licence([one, make_source("x", licence="ODbL-1.0")]) == "other"
    assert merged_licence([make_source("x", licence="free for research")]) == "other"
    survey, ours = merged_providers([one, two])
    assert survey == {"name": "Survey", "roles": ["producer", "licensor", "host"], "url": "https://survey.example/"}
    assert ours["roles"] == ["processor"]


@pytest.mark.parametrize("tile", ["E4300N2650", "E0900N0900", "E7350N6450", "E2700N1700"])
def test_footprint_follows_the_projected_edges(tile):
    from pyproj import Transformer

    back = Transformer.from_crs(4326, 3035, always_xy=True)
    ring = footprint_deg(Tile.parse(tile))
    assert ring[0] == ring[-1]
    assert Polygon(ring).exterior.is_ccw
    # Half way along a straight edge in degrees, which a client draws, the place is off the projected edge by metres.
    west, south, east, north = Tile.parse(tile).bounds_m
    for (lon0, lat0), (lon1, lat1) in pairwise(ring):
        x, y = back.transform((lon0 + lon1) / 2, (lat0 + lat1) / 2)
        assert min(abs(x - west), abs(x - east), abs(y - south), abs(y - north)) < 10.0


def test_footprint_of_a_cell_is_the_square():
    assert shape({"type": "Polygon", "coordinates": [footprint_deg(Cell.parse("N47E010"))]}).bounds == (10, 47, 11, 48)


def test_crs_and_grid():
    properties = item_from_manifest(make_manifest(None), asset_href=str)["properties"]
    assert properties["proj:code"] == "EPSG:3035"
    assert properties["proj:shape"] == [5000, 5000]
    assert properties["proj:transform"] == [10.0, 0.0, 4_300_000.0, 0.0, -10.0, 2_700_000.0]
    assert properties["dem:vertical_datum"] == "EPSG:5621"
    assert properties["dem:vertical_accuracy_le90_m"] == pytest.approx(0.987)


def test_asset_references_are_relative_to_the_item():
    manifest = make_manifest(None)
    key = item_key("dem-eu", manifest.tile)
    item = item_from_manifest(manifest, asset_href=lambda target: relative(key, target))
    assert item["assets"]["dem"]["href"] == f"../../../../{manifest.asset_prefix}/dem.tif"
    assert item["assets"]["dem"]["file:checksum"].startswith("1220")


def test_dates_that_not_every_source_tells_are_partial():
    dated = make_source("dated", start="2020-01-01T00:00:00Z", end="2024-01-01T00:00:00Z")
    for undated in (make_source("undated", start=None, end=None), make_source("open", end=None)):
        properties = item_from_manifest(make_manifest(None, sources=(dated, undated)), asset_href=str)["properties"]
        assert properties["dem:date_basis"] == "partial"
        assert properties["end_datetime"] == "2024-01-01T00:00:00Z"


def test_lineage_tells_what_was_done_not_what_was_tried():
    survey, other = make_source("survey", title="Survey"), make_source("other", title="Other")
    manifest = make_manifest(None, sources=(survey, other), fractions={"survey": 0.7, "other": 0.3})
    measured = CoregistrationRecord(
        source="other", reference="survey", method="nuth-kaab", status="converged", details={"applied": False}
    )
    level = manifest.operations[0].model_copy(update={"source": "survey", "steps": ()})
    manifest = manifest.model_copy(update={"coregistration": (measured,), "operations": (level,)})
    assert lineage(manifest) == "Survey and Other: resampled once, blended, voids filled."
    seen = measured.model_copy(update={"status": "unobservable", "details": {"applied": True}})
    moved = level.model_copy(update={"steps": ("EPSG:5404", "network-adjustment")})
    manifest = manifest.model_copy(update={"coregistration": (seen,), "operations": (moved,)})
    assert lineage(manifest) == (
        "Survey and Other: moved to EPSG:5621, levelled by a network adjustment, coregistered, resampled once, blended,"
        " voids filled."
    )
    alone = manifest.model_copy(
        update={"quality": manifest.quality.model_copy(update={"source_fractions": {"survey": 1.0}})}
    )
    assert lineage(alone) == (
        "Survey: moved to EPSG:5621, levelled by a network adjustment, resampled once, voids filled."
    )


def test_an_interpolant_is_not_called_super_resolution():
    manifest = make_manifest(None)

    def steps(models):
        return lineage(manifest.model_copy(update={"models": models}))

    assert "upsampled by keys6" in steps({"superres": "keys6"})
    assert "super-resolved" not in steps({"superres": "keys6"})
    assert "upsampled by best-linear" in steps({"superres": "best-linear", "superres_sha256": "ab"})
    both = steps({"superres": "superres-s+keys6", "superres_sha256": "ab"})
    assert "super-resolved by superres-s, upsampled by keys6" in both


def test_the_way_to_a_source_is_told_with_what_would_be_better(library):
    manifest = make_manifest(None)
    way = HorizontalOperation(
        definition="+proj=noop",
        description="A way",
        accuracy_m=1.0,
        better="Grid shift (0.05 m) needs a.tif",
        grids={"/home/anna/b.tif": "b" * 64},
    )
    sources = (manifest.sources[0].model_copy(update={"horizontal": way}), *manifest.sources[1:])
    item = item_from_manifest(manifest.model_copy(update={"sources": sources}), asset_href=str)
    told, other = item["properties"]["dem:sources"]
    assert told["horizontal"] == {
        "operation": "A way",
        "accuracy_m": 1.0,
        "better": "Grid shift (0.05 m) needs a.tif",
        "grids": [{"name": "b.tif", "sha256": "b" * 64}],
    }
    assert "horizontal" not in other
    assert list(library.faults(item)) == []


def test_classes_name_and_colour_the_values_of_the_source_index():
    manifest = make_manifest(None, sources=(make_source("survey", title="Survey"), make_source("other-30")))
    index = next(a for a in manifest.assets if a.bands).model_copy(update={"name": "source_index"})
    item = item_from_manifest(manifest.model_copy(update={"assets": (*manifest.assets, index)}), asset_href=str)
    classes = item["assets"]["source_index"]["bands"][0]["classification:classes"]
    assert [(c["value"], c["name"], c["color_hint"]) for c in classes] == [
        (0, "void", "000000"),
        (1, "survey", hex_colour(source_colour("survey"))),
        (2, "other-30", hex_colour(source_colour("other-30"))),
    ]
    assert item["properties"]["renders"]["heights"]["assets"] == ["dem"]
