"""Simulated scenery stands on its terrain."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.bare_earth.simulate import Scenery, above_ground


def slope(rows: int = 96, cols: int = 96) -> np.ndarray:
    y, x = np.mgrid[0:rows, 0:cols].astype(np.float32)
    return (200 + 0.1 * x + 2 * np.sin(y / 20)).astype(np.float32)


def test_simulated_scenery_stands_on_the_ground() -> None:
    rng = np.random.default_rng(3)
    ground = slope(128, 128)
    surface, above = above_ground(ground, 2.0, Scenery(0.4, 5, 20, 0.5, 0.1), rng)
    assert (above >= 0).all()
    assert 0.3 < (above > 2).mean() < 0.9
    assert np.abs(surface - ground - above).std() == pytest.approx(0.1, rel=0.5)
    bare, nothing = above_ground(ground, 2.0, Scenery(0, 0, 0, 0, 0), rng)
    assert (nothing == 0).all()
    assert np.array_equal(bare, ground)
    with pytest.raises(ConfigError):
        Scenery(1.4, 0, 0, 0, 0)
    assert len({Scenery.drawn(rng).forest for _ in range(5)}) > 1
