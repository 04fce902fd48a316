"""A small catalogue to plan from, and a store with one published tile."""

from __future__ import annotations

from pathlib import Path

import pytest

from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from tests.support.formats_world import hills
from tests.support.made import source, write_catalogue, write_source
from tests.support.published_world import World

PUBLISHED = Tile.parse("E4300N2650")


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """One source of 2 km in tile E4200N3000."""
    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_210_000.0, 3_010_000.0, 4_212_000.0, 3_012_000.0), 50)
    return write_catalogue(tmp_path / "catalogue.yaml", source(path, resolution_m=50.0))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store with one published tile, E4300N2650."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "made").mkdir()
    world = World(LocalStore(folder / "store"), folder / "made", hills, 250.0)
    world.publish([PUBLISHED])
    return world.store.url
