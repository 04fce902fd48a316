"""Thresholds are chosen so that open terrain stays, and travel with the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.bare_earth.model import Operating, SurfaceModel
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.bare_earth.evaluate import judged, tuned
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite
from tests.support.surface_sites import plain_site, quick


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
