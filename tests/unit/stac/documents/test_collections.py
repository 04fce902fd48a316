"""Which assets of a manifest each collection shows, and under which ids."""

import pytest

from orograph.pipeline.errors import BadIdentifier
from orograph.stac.documents.collections import EXPORTS, GEOGRAPHIC, TILES, collections_of, item_id, items_of_cell
from tests.support.catalogue_world import MemoryStore, make_manifest


@pytest.fixture(scope="module")
def tile():
    return make_manifest(MemoryStore())


def test_a_tile_shows_all_its_assets_in_one_item(tile):
    assert collections_of(tile) == (TILES,)
    assert TILES.items_of(tile) == {tile.tile: tile.assets}
    assert GEOGRAPHIC.items_of(tile) == {}


def test_a_cell_has_one_item_per_export_and_frame(tile):
    asset = tile.assets[0]
    assets = tuple(asset.model_copy(update={"name": name}) for name in ("dem", "hgt1", "hgt3", "hgt3_zip"))
    cell = tile.model_copy(update={"tile": "N47E010", "assets": assets, "settings": {"frame": "EPSG:5773"}})
    assert [info.id for info in collections_of(cell)] == [GEOGRAPHIC.id, EXPORTS.id]
    assert list(EXPORTS.items_of(cell)) == ["N47E010_hgt1_EPSG5773", "N47E010_hgt3_EPSG5773"]
    assert [asset.name for asset in EXPORTS.items_of(cell)["N47E010_hgt3_EPSG5773"]] == ["hgt3", "hgt3_zip"]


def test_ids_of_cells_name_product_and_frame():
    assert item_id("N47E010") == "N47E010"
    assert items_of_cell("N47E010", ["geographic", "hgt1"], "EPSG:5773") == (
        (GEOGRAPHIC.id, "N47E010_EPSG5773"),
        (EXPORTS.id, "N47E010_hgt1_EPSG5773"),
    )


def test_other_names_are_rejected(tile):
    with pytest.raises(BadIdentifier):
        collections_of(tile.model_copy(update={"tile": "X1"}))
