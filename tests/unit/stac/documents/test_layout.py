"""Keys, blocks and relative references of the catalogue."""

import pytest

from orograph.pipeline.errors import BadIdentifier
from orograph.stac.documents.layout import block_of, item_key, pending_prefix, relative, resolve, version_key


@pytest.mark.parametrize(
    ("item", "block"),
    [("E4300N2650", "E4000N2500"), ("E0950N0950", "E0500N0500"), ("N47E010_hgt1", "N45E010"), ("S01W001", "S05W005")],
)
def test_a_block_is_named_by_its_south_west_corner(item, block):
    assert block_of(item) == block
    assert item_key("c", item) == f"stac/c/{block}/{item}/{item}.json"


def test_names_that_are_no_square_are_rejected():
    for name in ("E43", "../x", "N47"):
        with pytest.raises(BadIdentifier):
            item_key("c", name)


def test_references_resolve_to_the_key_they_were_made_from():
    for there in ("stac/a/b.json", "stac/c.json", "tiles/x/manifest.json", "stac/a/d/e.json"):
        assert resolve("stac/a/b.json", relative("stac/a/b.json", there)) == there
    assert relative("stac/a.json", "stac/b.json") == "./b.json"
    assert resolve("a/b.json", "https://host/x") is None
    with pytest.raises(BadIdentifier, match="leaves the store"):
        resolve("a/b.json", "../../x")


def test_variants_and_notes_have_keys_of_their_own():
    assert version_key("dem-eu", "tiles/T/K/S", "N47E010_hgt1_EPSG5773") == "tiles/T/K/S/item-dem-eu-hgt1_EPSG5773.json"
    assert version_key("dem-eu", "p", "E4300N2650") == "p/item-dem-eu.json"
    assert pending_prefix() == "stac/pending/"
    assert pending_prefix("dem-eu") == "stac/pending/dem-eu/"
