"""Training sites give squares, with land cover where they have it."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.bare_earth.network import features
from orograph.pipeline.errors import ConfigError
from tests.support.surface_sites import SPEC, plain_site, quick


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
