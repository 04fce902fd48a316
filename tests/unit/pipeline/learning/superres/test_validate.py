"""Held-out rasters have the context that a network sees."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.errors import ModelError
from orograph.pipeline.learning.superres.dataset import (
    GridLevel,
    Site,
    SiteSpec,
)
from orograph.pipeline.learning.superres.validate import TrainingValidation
from orograph.pipeline.sources.catalogue import Thinning
from tests.support.superres_fixtures import hills, made_net

LEVELS = (GridLevel(weight=2), GridLevel(rows=2, columns=2, thinning=Thinning.AVERAGED), GridLevel(rows=1, columns=2))


def spec(name="made", **changes):
    return SiteSpec(name=name, file=f"{name}.tif", licence="CC0", attribution="made", levels=LEVELS, **changes)


def site(seed=0, side=240, name="made"):
    heights = hills(side, side, seed)
    return Site(spec(name), (heights,), (np.ones(heights.shape, bool),))


@pytest.fixture(autouse=True)
def quick_bases(monkeypatch):
    from orograph.pipeline.learning.superres import train

    fit = train.fit_bases
    monkeypatch.setattr(train, "fit_bases", lambda sampler: fit(sampler, draws=6))


def test_held_out_rasters_have_as_much_around_them_as_a_network_sees():
    ground = [site(seed=9, side=120)]
    small, large = made_net("S"), made_net("L")
    near, far = (TrainingValidation(ground, 3, reach_px) for reach_px in (13, 24))
    for one, other in zip(near.rasters, far.rasters, strict=True):
        np.testing.assert_allclose(near.predict(small, one), far.predict(small, other), atol=1e-3)
    with pytest.raises(ModelError, match="sees 53 pixels"):
        far.predict(large, far.rasters[0])
