"""Training on images: it learns, its file reads back, bad data is rejected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.ordinal_head import HeadKind
from orograph.pipeline.errors import (
    BandMismatch,
    ConfigError,
    ForeignModel,
    HeightsNotFinite,
    NoOverlap,
    NoTrainingPixels,
    SourceMissing,
)
from orograph.pipeline.learning.image_heights.data import (
    Scene,
)
from orograph.pipeline.learning.image_heights.model import ImageModel, Stitching
from orograph.pipeline.learning.image_heights.network import NetworkSpec
from orograph.pipeline.learning.image_heights.train import ImageTraining, train_image
from tests.support.image_scenes import SMALL, scene


@pytest.mark.parametrize("kind", list(HeadKind))
def test_training_learns_blocks_and_survives_its_file(kind: HeadKind, tmp_path: Path) -> None:
    training = ImageTraining(epochs=4, patches=48, batch=8, crop_px=32, learning_rate=4e-3, backbone_factor=1.0)
    losses: list[float] = []
    model = train_image(
        [scene()],
        SMALL,
        kind,
        bins=Bins(0, 20, 12),
        training=training,
        on_epoch=lambda _, loss, __: losses.append(loss),
    )
    assert losses[-1] < 0.85 * losses[0]
    path = tmp_path / "m.safetensors"
    assert model.save(path) == path.stat().st_size
    read = ImageModel.load(path)
    a, _ = model.patch(scene(1).image[:, :32, :32])
    b, spread = read.patch(scene(1).image[:, :32, :32])
    assert np.array_equal(a, b)
    assert np.isnan(spread).all() == (kind is HeadKind.MSE)
    whole = read.map(scene(1).image, Stitching.CHAIN)
    assert whole.shape == (96, 96)
    assert whole.min() == 0
    assert read.evaluate(scene(1)).rmse_m < 12


def test_bad_training_data_is_refused(tmp_path: Path) -> None:
    training = ImageTraining(epochs=1, patches=2, batch=2, crop_px=32)
    with pytest.raises(NoTrainingPixels):
        train_image([], SMALL, HeadKind.ORDINAL, bins=Bins(), training=training)
    with pytest.raises(BandMismatch, match="3 bands, the network takes 4"):
        train_image([scene()], NetworkSpec(18, 4, 8), HeadKind.ORDINAL, bins=Bins(), training=training)
    with pytest.raises(ConfigError, match="smaller than a crop"):
        scene().crop(128, np.random.default_rng(0))
    with pytest.raises(NoTrainingPixels):
        Scene("x", np.zeros((3, 4, 4), np.float32), np.full((4, 4), np.nan, np.float32))
    with pytest.raises(HeightsNotFinite):
        Scene("x", np.zeros((3, 4, 4), np.float32), np.full((4, 4), np.inf, np.float32))
    with pytest.raises(NoOverlap):
        Scene("x", np.zeros((3, 4, 4), np.float32), np.zeros((5, 4), np.float32))
    with pytest.raises(ConfigError):
        ImageTraining(crop_px=8)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, other)
    with pytest.raises(ForeignModel, match="not an ordinal height model"):
        ImageModel.load(other)
    with pytest.raises(SourceMissing):
        ImageModel.load(tmp_path / "none")
    model = train_image([scene()], SMALL, HeadKind.ORDINAL, bins=Bins(), training=training)
    with pytest.raises(BandMismatch):
        model.patch(np.zeros((4, 32, 32), np.float32))
