"""Training sites give squares, with land cover where they have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.model import SurfaceModel
from orograph.pipeline.bare_earth.network import SurfaceSpec, features
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.bare_earth.simulated_cover import (
    CoverPool,
    Texture,
)
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite
from orograph.pipeline.learning.bare_earth.train import SurfaceTraining, train_surface

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
