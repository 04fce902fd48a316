"""Cover at coarse pixels: scenes over bare ground, land-cover shares, thresholds that spare open ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.model import Operating, SurfaceModel
from orograph.pipeline.bare_earth.network import SurfaceSpec, features
from orograph.pipeline.errors import ConfigError, ForeignModel, HeightsNotFinite, SourceCorrupt, SourceMissing
from orograph.pipeline.learning.bare_earth.evaluate import judged, tuned
from orograph.pipeline.learning.bare_earth.simulated_cover import (
    CoverPool,
    Texture,
    averaged,
    mapped_shares,
    street_blocks,
)
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite
from orograph.pipeline.learning.bare_earth.train import SurfaceTraining, train_surface
from orograph.pipeline.sources.land_cover import LandCover

SPEC = SurfaceSpec((3, 5), (24.0, 36.0), 4, cover=True)


def pool(count: int = 3, textures: tuple[Texture, ...] = ()) -> CoverPool:
    return CoverPool(30.0, textures, size_px=40, count=count)


def plain_site() -> SurfaceSite:
    y, x = np.mgrid[0:60, 0:50].astype(np.float32)
    return SurfaceSite("plain", 30.0, 100 + x + 5 * np.sin(y / 9), pool=pool())


def quick(start: SurfaceModel | None = None, checkpoint: Path | None = None, steps: int = 2) -> SurfaceModel:
    training = SurfaceTraining(steps=steps, batch=1, crop_px=32, margin_px=4, precision="bf16")
    return train_surface(
        [plain_site()], SPEC, training, bins=Bins(0, 40, 8), name="quick", start=start, checkpoint=checkpoint
    )


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


def test_bare_sites_give_squares_with_land_cover_also_beyond_their_edge() -> None:
    site = plain_site()
    square = site.draw(40, np.random.default_rng(0))
    assert square.surface_m.shape == (40, 40)
    assert square.shares is not None
    assert np.isfinite(square.surface_m).all()


def test_land_cover_is_optional_and_must_fit() -> None:
    z = np.random.default_rng(0).normal(0, 3, (24, 24)).astype(np.float32)
    shares = np.full((2, 24, 24), 0.5, np.float32)
    shares[:, :4] = np.nan
    planes = features(z, 30.0, SPEC, shares)
    assert planes.shape == (SPEC.channels, 24, 24)
    assert np.isfinite(planes).all()
    assert planes[-1].mean() == pytest.approx(20 / 24)
    assert (features(z, 30.0, SPEC)[-3:] == 0).all()
    model = quick()
    assert not np.array_equal(
        model.above_ground(z, 30.0).height_m, model.above_ground(z, 30.0, shares=np.ones_like(shares)).height_m
    )
    with pytest.raises(ConfigError, match="land cover"):
        model.above_ground(z, 30.0, shares=shares[:, :5])


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orograph.pipeline.learning.bare_earth.train._KEEP_EVERY", 2)
    kept = tmp_path / "state.ckpt"
    whole = quick(steps=3, checkpoint=kept)
    assert kept.is_file()
    resumed = quick(steps=3, checkpoint=kept)
    first, second = (model.network.state_dict() for model in (whole, resumed))
    assert all(np.allclose(first[name], second[name], atol=1e-6) for name in first)
    with pytest.raises(ForeignModel, match="other options"):
        quick(steps=4, checkpoint=kept)
    kept.write_bytes(b"no checkpoint")
    with pytest.raises(ForeignModel, match="not a training checkpoint"):
        quick(steps=3, checkpoint=kept)


def test_thresholds_spare_open_ground_and_travel_with_the_weights(tmp_path: Path) -> None:
    model = quick()
    ground = plain_site().ground_m
    above = np.zeros_like(ground)
    above[10:30, 10:30] = 15.0
    site = SurfaceSite("wood", 30.0, ground, ground + above)
    figures = judged(site, str(_saved(model, tmp_path)))
    assert figures["nothing"]["covered_mae_m"] == pytest.approx(15.0)
    assert set(figures) == {"nothing", "opening", "network"}
    operating = Operating(0.7, 0.6, 0.8)
    path = tmp_path / "tuned.safetensors"
    SurfaceModel(model.network, model.spec, model.bins, "t", operating=operating).save(path)
    assert SurfaceModel.load(path).operating == operating
    for bad in ((0.0, 0.5, 1.0), (0.5, 1.0, 1.0), (0.5, 0.5, 0.0)):
        with pytest.raises(ConfigError):
            Operating(*bad)
    # A model that takes everything off is held back by open ground.
    found = tuned(_eager(model), [site], 1000.0, 1000.0)
    assert found.probability == 0.5
    assert found.spread_factor > 0


def _saved(model: SurfaceModel, folder: Path) -> Path:
    path = folder / "quick.safetensors"
    model.save(path)
    return path


def _eager(model: SurfaceModel) -> SurfaceModel:
    """The same network with every height class said to be exceeded."""
    weights = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    weights["last.bias"][1::2] += 20.0
    model.network.load_state_dict(weights)
    return model


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
