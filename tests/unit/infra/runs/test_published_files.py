"""Published tiles as local files; a tile that is not published is named."""

import pytest

from orograph.infra.runs.published_files import elevation_files
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import OutsideCoverage
from tests.support.formats_world import plane
from tests.support.published_world import World

HERE, NEXT, FAR = Tile(4300, 2650), Tile(4350, 2650), Tile(4500, 2650)


def test_wanted_tiles_and_their_neighbours_are_there(tmp_path):
    world = World(LocalStore(tmp_path / "store"), tmp_path, plane, 1000.0)
    world.publish([HERE, NEXT, FAR])
    with elevation_files(world.store, [HERE]) as files:
        assert {tile: path.is_file() for tile, path in files.items()} == {HERE: True}
    with elevation_files(world.store, [HERE], neighbours=True) as files:
        assert set(files) == {HERE, NEXT}
    with elevation_files(world.store, None) as files:
        assert set(files) == {HERE, NEXT, FAR}
    with pytest.raises(OutsideCoverage, match="E4300N2700"), elevation_files(world.store, [Tile(4300, 2700)]):
        pass


def test_an_empty_store_has_no_tile(tmp_path):
    with pytest.raises(OutsideCoverage, match="no tile"), elevation_files(LocalStore(tmp_path), None):
        pass
