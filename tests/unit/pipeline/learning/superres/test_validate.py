"""Held-out rasters have the context that a network sees."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.errors import ModelError
from orograph.pipeline.learning.superres.validate import TrainingValidation
from tests.support.superres_fixtures import made_net
from tests.support.training_sites import site

pytestmark = pytest.mark.usefixtures("quick_bases")


def test_held_out_rasters_have_as_much_around_them_as_a_network_sees():
    ground = [site(seed=9, side=120)]
    small, large = made_net("S"), made_net("L")
    near, far = (TrainingValidation(ground, 3, reach_px) for reach_px in (13, 24))
    for one, other in zip(near.rasters, far.rasters, strict=True):
        np.testing.assert_allclose(near.predict(small, one), far.predict(small, other), atol=1e-3)
    with pytest.raises(ModelError, match="sees 53 pixels"):
        far.predict(large, far.rasters[0])
