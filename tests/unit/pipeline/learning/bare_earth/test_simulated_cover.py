"""Cover at coarse pixels: scenes over bare ground, land-cover shares, thresholds that spare open ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from orograph.pipeline.errors import ConfigError, HeightsNotFinite, SourceCorrupt, SourceMissing
from orograph.pipeline.learning.bare_earth.simulated_cover import (
    CoverPool,
    Texture,
    averaged,
    mapped_shares,
    street_blocks,
)
from orograph.pipeline.sources.land_cover import LandCover


def pool(count: int = 3, textures: tuple[Texture, ...] = ()) -> CoverPool:
    return CoverPool(30.0, textures, size_px=40, count=count)


def test_scenes_lie_on_any_ground_and_come_from_the_seed() -> None:
    ground = np.full((32, 32), 250.0, np.float32)
    surface, above, shares = pool().draw(ground, np.random.default_rng(1))
    assert surface.shape == above.shape == (32, 32)
    assert shares.shape == (2, 32, 32)
    assert (above >= 0).all()
    assert ((shares >= 0) & (shares <= 1)).all()
    again = pool().draw(ground, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip((surface, above, shares), again, strict=True))
    with pytest.raises(ConfigError, match="multiple"):
        CoverPool(7.0)


def test_measured_textures_are_used_and_must_be_whole() -> None:
    wood = Texture("wood", np.full((50, 70), 18.0, np.float32), np.zeros((50, 70), np.float32))
    seen = [pool(1, (wood,)).draw(np.zeros((16, 16), np.float32), np.random.default_rng(k))[1] for k in range(2)]
    assert np.isfinite(seen).all()
    with pytest.raises(HeightsNotFinite):
        Texture("torn", np.full((4, 4), np.nan, np.float32), np.zeros((4, 4), np.float32))
    with pytest.raises(ConfigError):
        Texture("uneven", np.zeros((4, 4), np.float32), np.zeros((4, 5), np.float32))


def test_street_blocks_fill_their_share_and_the_map_sees_most_of_them() -> None:
    rng = np.random.default_rng(5)
    houses = street_blocks((240, 240), 5.0, 0.5, rng)
    assert 0.05 < (houses > 0).mean() < 0.5
    forest = np.zeros((240, 240), np.float32)
    forest[:, :120] = 20.0
    trees, built = mapped_shares(forest, np.zeros_like(forest), 6, rng)
    assert trees.shape == (40, 40)
    assert trees[:, :18].mean() > 0.8
    assert trees[:, 22:].mean() < 0.2
    assert built.mean() < 0.2
    assert averaged(forest, 6)[0, 0] == 20.0


def test_a_map_is_counted_on_the_pixels_of_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classes = np.full((30, 30), 30, np.uint8)
    classes[:, :15], classes[20:, 15:], classes[:3] = 10, 50, 0
    path = tmp_path / "map.tif"
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 30, "height": 30, "nodata": 0}
    with rasterio.open(path, "w", crs="EPSG:32633", transform=Affine(10, 0, 5e5, 0, -10, 5e6), **profile) as dataset:
        dataset.write(classes, 1)
    cover = LandCover.of(path)
    trees, built = cover.shares(Affine(30, 0, 5e5, 0, -30, 5e6), "EPSG:32633", (10, 12))
    assert np.isnan(trees[0]).all()
    assert np.isnan(trees[:, 10:]).all()
    assert (trees[1:, :5] == 1).all()
    assert trees[5, 6] == 0
    assert built[9, 7] == 1
    assert built[6, 7] == pytest.approx(1 / 3)
    with pytest.raises(SourceMissing):
        LandCover.of(tmp_path / "none.tif")
    settled = tmp_path / "settled.tif"
    settled.write_bytes(path.read_bytes())
    monkeypatch.setattr("orograph.pipeline.core.hashing._RECENT_S", -3600.0)
    known = LandCover.of(settled)
    settled.write_bytes(path.read_bytes() + b"another")
    with pytest.raises(SourceCorrupt, match="expected"):
        known.shares(Affine(30, 0, 5e5, 0, -30, 5e6), "EPSG:32633", (2, 2))
    with pytest.raises(SourceCorrupt, match="expected"):
        LandCover(path=str(path), sha256="0" * 64).shares(Affine(30, 0, 5e5, 0, -30, 5e6), "EPSG:32633", (2, 2))
