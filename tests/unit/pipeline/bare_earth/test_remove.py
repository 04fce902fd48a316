"""Bare earth: objects go, slopes, open terrain and voids stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.bare_earth.model import AboveGround, Operating
from orograph.pipeline.bare_earth.network import SurfaceSpec
from orograph.pipeline.bare_earth.remove import bare_earth, ground_of, opening_mask, partly_lowered, smooth_ground
from orograph.pipeline.errors import AllVoid, ConfigError, ForeignModel, HeightsNotFinite, NoTrainingPixels
from orograph.pipeline.learning.bare_earth.train import SurfaceTraining, train_surface
from tests.support.made_town import TINY, slope, town


def test_opening_finds_houses_and_leaves_slopes() -> None:
    ground, above = town()
    mask = opening_mask(ground + above, 2.0)
    assert mask[above > 2].mean() > 0.95
    assert mask[above == 0].mean() < 0.02
    assert not opening_mask(ground, 2.0).any()
    result = bare_earth((ground + above).astype(np.float32), 2.0, "opening")
    covered = above > 2
    assert np.abs(result.heights_m - ground)[covered].mean() < 0.2 * above[covered].mean()
    assert np.array_equal(result.heights_m[~result.mask], (ground + above).astype(np.float32)[~result.mask])
    assert (result.sigma_m[result.mask] > 0).all()
    assert (result.sigma_m[~result.mask] == 0).all()


def test_voids_stay_and_open_ground_is_untouched() -> None:
    ground, above = town()
    surface = (ground + above).astype(np.float32)
    surface[40:44, 40:50] = np.nan
    result = bare_earth(surface, 2.0, "opening")
    assert np.array_equal(np.isnan(result.heights_m), np.isnan(surface))
    assert not result.mask[np.isnan(surface)].any()
    assert (result.heights_m[result.mask] <= surface[result.mask]).all()


def test_bad_surfaces_and_settings_are_refused(tmp_path: Path) -> None:
    ground = slope(32, 32)
    with pytest.raises(AllVoid):
        bare_earth(np.full((8, 8), np.nan, np.float32), 2.0, "opening")
    with pytest.raises(HeightsNotFinite):
        bare_earth(np.where(ground > 202, np.inf, ground).astype(np.float32), 2.0, "opening")
    with pytest.raises(ConfigError, match="probability"):
        bare_earth(ground, 2.0, "opening", probability=1.0)
    with pytest.raises(ConfigError, match="no bare-earth model"):
        bare_earth(ground, 2.0, "nobody")
    bad = tmp_path / "bad.safetensors"
    bad.write_text("x")
    with pytest.raises(ForeignModel):
        bare_earth(ground, 2.0, str(bad))
    with pytest.raises(ConfigError):
        SurfaceSpec((4,))
    with pytest.raises(ConfigError):
        SurfaceSpec(pixel_size_m=(3.0, 2.0))
    with pytest.raises(ConfigError):
        SurfaceTraining(crop_px=100)
    with pytest.raises(NoTrainingPixels):
        train_surface([], TINY, SurfaceTraining(steps=1))


def test_planes_under_cover_are_tied_to_open_ground() -> None:
    ground = slope()
    rng = np.random.default_rng(0)
    mask = np.zeros(ground.shape, bool)
    mask[30:50, 30:60] = True
    rough = ground + np.where(mask, rng.normal(0, 1.5, ground.shape), 0).astype(np.float32)
    spread = np.full(ground.shape, 1.5, np.float32)
    smooth = smooth_ground(rough, spread, mask, 2.0)
    assert np.array_equal(smooth[~mask], ground[~mask])
    assert np.abs(smooth - ground)[mask].mean() < 0.3 * np.abs(rough - ground)[mask].mean()
    inner = (slice(10, 90), slice(12, 92))
    part = smooth_ground(rough[inner], spread[inner], mask[inner], 2.0)
    assert np.abs(part[15:45, 10:60] - smooth[inner][15:45, 10:60]).max() < 1e-4


class _Rounding:
    """A model of houses of 8 m whose probabilities are near the threshold, and differ by a rounding error."""

    operating = Operating()

    def __init__(self, error: float) -> None:
        self.error = error

    def above_ground(self, surface_m, *_):
        probability = 0.5 + np.linspace(-0.02, 0.02, surface_m.size).reshape(surface_m.shape) + self.error
        return AboveGround(np.full_like(surface_m, 8.0), np.ones_like(surface_m), probability.astype(np.float32))


def test_rounding_at_the_threshold_moves_no_height_by_metres() -> None:
    surface = slope(40, 40)
    made = [partly_lowered(surface, *ground_of(_Rounding(error), surface, 2.0)) for error in (0.0, 1e-6)]
    assert made[0].mask.any()
    assert not made[0].mask.all()
    assert np.abs(made[0].heights_m - made[1].heights_m).max() < 0.005
    assert np.array_equal(made[0].heights_m[~made[0].mask], surface[~made[0].mask])
