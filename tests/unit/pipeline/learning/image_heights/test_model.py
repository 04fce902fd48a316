"""Discretisation, heads, networks, metrics, stitching and data of the image-to-height system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.bare_earth.height_classes import Bins, Spacing
from orograph.pipeline.errors import (
    ConfigError,
    NoTrainingPixels,
    UsageError,
)
from orograph.pipeline.learning.bare_earth.metrics import GroundMetrics
from orograph.pipeline.learning.image_heights.metrics import HeightMetrics
from orograph.pipeline.learning.image_heights.network import HeightNet, NetworkSpec
from tests.support.image_scenes import scene, write


def test_spacing_increasing_thresholds_follow_equation_one() -> None:
    bins = Bins(0.0, 60.0, 64)
    t = bins.thresholds_m
    a, b = 1.0, 61.0
    assert t[0] == 0.0
    assert t[-1] == pytest.approx(60.0)
    assert t[10] == pytest.approx(np.exp(np.log(a) + np.log(b / a) * 10 / 64) - 1)
    assert (np.diff(t, n=2) > 0).all()
    assert np.diff(Bins(0.0, 60.0, 64, Spacing.UNIFORM).thresholds_m) == pytest.approx(60 / 64)
    assert bins.middles_m[3] == pytest.approx((t[3] + t[4]) / 2)
    assert Bins.from_dict(bins.to_dict()) == bins


def test_classes_hold_their_heights() -> None:
    bins = Bins(0.0, 30.0, 20)
    t = bins.thresholds_m
    heights = torch.tensor([-5.0, 0.0, t[1], (t[4] + t[5]) / 2, 29.99, 30.0, 99.0])
    assert bins.classes(heights).tolist() == [0, 0, 1, 4, 19, 19, 19]
    middles = torch.from_numpy(bins.middles_m)
    assert bins.classes(middles).tolist() == list(range(20))
    for bad in ({"count": 1}, {"high_m": 0.0}, {"high_m": float("nan")}, {"low_m": -2.0}):
        with pytest.raises(ConfigError):
            Bins(**bad)


@pytest.mark.parametrize("aspp", [True, False])
def test_network_answers_at_the_images_size(aspp: bool) -> None:
    network = HeightNet(NetworkSpec(18, 4, 8, aspp, 8), 20).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 4, 72, 50)).shape == (2, 20, 72, 50)
    groups = network.parameter_groups(1e-3)
    assert [g["lr"] for g in groups] == pytest.approx([1e-4, 1e-3])
    assert sum(len(g["params"]) for g in groups) == len(list(network.parameters()))
    dilations = [layer.dilation[0] for layer in network.aspp]
    assert dilations == ([1, 6, 12, 18] if aspp else [])


def test_metrics_by_hand() -> None:
    true = np.array([[2.0, 4.0], [10.0, np.nan]])
    predicted = np.array([[2.0, 5.5], [5.0, 7.0]])
    m = HeightMetrics.between(predicted, true)
    assert m.pixels == 3
    assert m.rel == pytest.approx((0 + 1.5 / 4 + 0.5) / 3)
    assert m.rmse_m == pytest.approx(np.sqrt((1.5**2 + 25) / 3))
    logs = [0, np.log10(5.5 / 4), np.log10(0.5)]
    assert m.rel_log10 == pytest.approx(np.mean(np.abs(logs)))
    assert m.rmse_log10 == pytest.approx(np.sqrt(np.mean(np.square(logs))))
    assert (m.delta1, m.delta2, m.delta3) == pytest.approx((1 / 3, 2 / 3, 2 / 3))
    with pytest.raises(NoTrainingPixels):
        HeightMetrics.between(predicted, np.full((2, 2), np.nan))


def test_ground_metrics_tell_cover_from_open_ground() -> None:
    ground = np.zeros((2, 4))
    surface = np.array([[0, 0.1, 10, 20], [0, 0, 1.0, np.nan]])
    m = GroundMetrics.between(surface, ground, surface)
    assert m.covered_mae_m == pytest.approx(15.0)
    assert m.open_mae_m == pytest.approx(0.025)
    assert m.covered_fraction == pytest.approx(2 / 7)


def test_command_line_trains_predicts_and_evaluates(tmp_path: Path) -> None:
    runner = CliRunner()
    made = scene()
    image = write(tmp_path / "i.tif", (made.image * 255).astype(np.uint8))
    heights = write(tmp_path / "h.tif", made.heights_m)
    model = tmp_path / "m.safetensors"
    small = "--depth 18 --width 8 --pooled 8 --classes 12 --highest 20 --epochs 1 --patches 8 --batch 4 --crop 32"
    pair = ["--image", str(image), "--heights", str(heights)]
    result = runner.invoke(app, ["ordinal", "train", "-o", str(model), *pair, *small.split()])
    assert result.exit_code == 0, result.output
    figures = runner.invoke(app, ["ordinal", "evaluate", str(model), *pair, "--json"])
    assert '"delta3"' in figures.output
    out = tmp_path / "p.tif"
    drawn = runner.invoke(app, ["ordinal", "predict", str(model), str(image), "-o", str(out)])
    assert drawn.exit_code == 0, drawn.output
    with rasterio.open(out) as dataset:
        assert dataset.shape == (96, 96)
    assert isinstance(runner.invoke(app, ["ordinal", "train", "-o", str(model)]).exception, UsageError)
    wrong = runner.invoke(app, ["ordinal", "train", "-o", str(model), *pair, "--head", "oracle"])
    assert isinstance(wrong.exception, ConfigError)
