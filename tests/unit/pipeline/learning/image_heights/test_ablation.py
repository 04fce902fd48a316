"""Variants of a training are compared on the same patches."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.errors import (
    NoTrainingPixels,
)
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite
from orograph.pipeline.learning.image_heights.ablation import VARIANTS, ablate, scene_of
from orograph.pipeline.learning.image_heights.train import ImageTraining
from tests.support.image_scenes import SMALL, scene


def test_ablation_judges_every_variant_on_the_same_patches() -> None:
    training = ImageTraining(epochs=1, patches=4, batch=2, crop_px=32)
    chosen = {name: VARIANTS[name] for name in ("mse", "sid without aspp")}
    table = ablate([scene()], [scene(1)], SMALL, bins=Bins(0, 20, 8), training=training, variants=chosen)
    assert set(table) == {"constant", "mse", "sid without aspp"}
    assert set(table["sid without aspp"].figures) == {"middle", "expectation"}
    assert table["mse"].figures["middle"].pixels == table["sid without aspp"].figures["middle"].pixels
    assert len(table["mse"].curve) == 1
    assert set(table["mse"].by_height) <= {"0", "2", "5", "10", "20"}
    above = np.zeros((40, 40), np.float32)
    above[5:9, 5:9] = 6
    made = scene_of(SurfaceSite("a", 2.0, np.ones((40, 40), np.float32), above + 1))
    assert np.nanmax(made.heights_m) == 6
    bare = SurfaceSite("b", 2.0, np.ones((40, 40), np.float32))
    assert np.array_equal(scene_of(bare).heights_m, scene_of(bare).heights_m)
    with pytest.raises(NoTrainingPixels):
        ablate([], [scene()], SMALL, bins=Bins(), training=training)
