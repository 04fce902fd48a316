"""A store of tiles is one seamless array, read only where its values are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

import orograph
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from orograph.stac.publishing.rebuild import rebuild
from tests.support.formats_world import hills
from tests.support.published_world import World

WEST, EAST = Tile.parse("E4300N2650"), Tile.parse("E4350N2650")
BORDER_M = WEST.bounds_m[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terrain")
    world = World(LocalStore(folder / "store"), folder, hills, 250.0)
    world.publish([WEST, EAST])
    rebuild(world.store)
    return folder / "store"


def test_tiles_are_one_array_without_a_seam(store: Path) -> None:
    _, south, _, north = WEST.bounds_m
    bounds = (BORDER_M - 3000, south + 1000, BORDER_M + 3000, north - 1000)
    array = orograph.open_store(store).load(bounds, crs="EPSG:3035")
    assert array.rio.bounds() == pytest.approx(bounds)
    truth = hills(array.x.values[None, :], array.y.values[:, None])
    assert float(np.abs(array.values - truth).max()) < 0.001
    assert array.attrs["vertical_frame"] == "EPSG:5621"
    assert array.rio.crs.to_epsg() == 3035


@pytest.mark.parametrize(
    "pick",
    [
        (slice(3, 30), slice(2, 390)),
        (slice(None, None, -1), slice(None, None, 7)),
        (5, slice(190, 210)),
        (slice(0, 200, 50), 201),
        (7, 8),
        ([9, 2, 2], [399, 0, 200]),
        (slice(4, 4), slice(0, 9)),
    ],
)
def test_every_selection_reads_its_own_pixels(store: Path, pick: tuple[object, object]) -> None:
    lazy = orograph.open_store(store).load()
    whole = orograph.open_store(store).load().values
    expected = whole[pick[0]][..., pick[1]] if not isinstance(pick[0], list) else whole[np.ix_(*pick)]
    np.testing.assert_array_equal(lazy[pick].values, expected)


def test_nothing_is_read_before_it_is_asked_for(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = rasterio.open
    monkeypatch.setattr(rasterio, "open", lambda path, *rest, **more: opened.append(path) or real(path, *rest, **more))
    array = orograph.open_store(store).load()
    assert opened == []
    array[5:8, 5:8].values  # noqa: B018 - reading is the point
    assert len(opened) == 1


def test_beyond_the_tiles_is_void(store: Path) -> None:
    west, _, _, north = WEST.bounds_m
    array = orograph.open_store(store).load((west - 500, north - 500, west + 500, north + 500), crs="EPSG:3035")
    assert array.shape == (4, 4)
    assert np.isnan(array.values[:2]).all()
    assert np.isnan(array.values[:, :2]).all()
    assert np.isfinite(array.values[2:, 2:]).all()


def test_degrees_cover_what_they_ask_for(store: Path) -> None:
    terrain = orograph.open_store(store)
    box = (9.8, 47.0, 10.2, 47.3)
    (item,) = [item for item in terrain.search(box) if item.id == WEST.id]
    assert Path(item.assets["elevation"].href).is_file()
    inside = terrain.load(box).rio.reproject("EPSG:4326").rio.bounds()
    assert inside[0] <= box[0]
    assert inside[1] <= box[1]
    assert inside[2] >= box[2]
    assert inside[3] >= box[3]


def test_nothing_there_is_an_error(store: Path, tmp_path: Path) -> None:
    terrain = orograph.open_store(store)
    assert terrain.search((-9.0, 38.0, -8.0, 39.0)) == []
    with pytest.raises(orograph.errors.OutsideCoverage):
        terrain.load((-9.0, 38.0, -8.0, 39.0))
    with pytest.raises(orograph.errors.ConfigError, match="elevation"):
        terrain.load(asset="colour")
    with pytest.raises(orograph.errors.SourceMissing):
        orograph.open_store(tmp_path / "none")


def test_a_lost_file_is_an_error_and_never_void(tmp_path: Path) -> None:
    world = World(LocalStore(tmp_path / "store"), tmp_path, hills, 500.0)
    world.publish([WEST])
    (file,) = (tmp_path / "store").rglob("*_elevation.tif")
    array = orograph.open_store(tmp_path / "store").load()
    file.unlink()
    with pytest.raises(orograph.errors.SourceCorrupt):
        array.values  # noqa: B018 - reading is the point


def test_a_private_s3_server_is_read_too(s3_server: object, s3_bucket: str, tmp_path: Path) -> None:
    from orograph.infra.stores.open import open_store

    url, endpoint = f"s3://{s3_bucket}/terrain", s3_server.endpoint_url  # type: ignore[attr-defined]
    world = World(open_store(url, endpoint_url=endpoint), tmp_path, hills, 500.0)
    world.publish([WEST])
    array = orograph.open_store(url, endpoint_url=endpoint).load()[40:44, 50:54]
    truth = hills(array.x.values[None, :], array.y.values[:, None])
    assert float(np.abs(array.values - truth).max()) < 0.001
