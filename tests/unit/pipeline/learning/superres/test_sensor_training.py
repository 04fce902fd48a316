"""Training of the network of sensors on made terrain, in seconds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.dataset import GridLevel
from orograph.pipeline.learning.superres.drawn_sensors import draw_sensor, measured
from orograph.pipeline.learning.superres.sensor_examples import draw_examples
from orograph.pipeline.learning.superres.sensor_symmetry import SensorSymmetry
from orograph.pipeline.learning.superres.sensor_training import SensorPlan, SensorTrainer
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.sensor.net_inputs import PLANES
from orograph.pipeline.superres.sensor.network import SensorNet, SensorNetShape
from orograph.pipeline.superres.sensor.resolver import SensorFilter
from tests.support.sensors import power_law_terrain
from tests.support.training_sites import spec, write

PLAN = SensorPlan(SensorNetShape(8, (1, 1)), examples=2, steps=4, batch=2)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sites")
    write(folder / "made.tif", power_law_terrain(440, seed=1, pixel_m=5.0).astype(np.float32))
    return draw_examples([spec().model_copy(update={"levels": (GridLevel(),)})], folder, 2, seed=3)


def test_drawn_sensors_are_in_their_ranges_and_add_their_noise():
    rng = np.random.default_rng(1)
    flat = np.full((90, 90), 500.0)
    for _ in range(30):
        drawn = draw_sensor(rng)
        assert all(5.0 <= sigma <= 40.0 for sigma in drawn.model.sigmas_m)
        heights = measured(flat, drawn, (10.0, 12.0), 3, rng)
        assert heights.shape == (30, 30)
        noise = drawn.model.noise_m * (drawn.model.error_factor if drawn.faulty else 1.0)
        assert 0.2 * noise < heights.std() < 2.5 * noise + 0.5


def test_examples_have_the_filter_as_their_start(examples):
    assert examples.planes.shape[1:] == (PLANES, 100, 100)
    assert 0.1 < examples.judged.mean() <= 1.0
    spread = np.abs(examples.residual.astype(np.float64))[:, :, examples.judged[0]]
    assert 0.2 < np.median(spread) < 2.0


def test_a_new_network_is_the_filter_and_symmetric():
    net = SensorNet(PLAN.network)
    symmetry = SensorSymmetry(net)
    planes = torch.randn(1, PLANES, 30, 30)
    assert not net(planes).any()
    before = [parameter.clone() for parameter in net.parameters()]
    symmetry.hold(net)
    assert all(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))


def test_training_resumes_to_the_same_bits_and_its_weights_are_used(examples, tmp_path):
    straight = SensorTrainer(PLAN, examples, tmp_path / "straight")
    straight.run(every=2)
    SensorTrainer(PLAN, examples, tmp_path / "halves").run(every=2, until=2)
    second = SensorTrainer(PLAN, examples, tmp_path / "halves")
    assert second.resume()
    second.run(every=2)
    for mine, theirs in zip(straight.average.parameters(), second.average.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0.0, atol=0.0)
    other = SensorTrainer(SensorPlan(PLAN.network, steps=5), examples, tmp_path / "halves")
    with pytest.raises(ConfigError, match="another plan"):
        other.resume()
    path = tmp_path / "weights.safetensors"
    digest = second.export(path, {"sites": []})
    sensor = draw_sensor(np.random.default_rng(4)).model
    up = resolver("sensor-net", sensor=sensor, weights=str(path))
    assert up.sha256 == digest
    heights = power_law_terrain(50, seed=2, pixel_m=30.0).astype(np.float32)
    fine, _ = up(heights)
    filtered, _ = SensorFilter(sensor)(heights)
    assert np.isfinite(fine).all()
    assert 0.0 < np.abs(fine - filtered).max() < 10.0


@pytest.mark.parametrize(("options", "steps"), [([], 1200), (["--steps", "3"], 3)])
def test_the_command_has_steps_and_patches_of_its_own(examples, options, steps, tmp_path, monkeypatch):
    monkeypatch.setattr("orograph.pipeline.learning.superres.sensor_examples.draw_examples", lambda *_: examples)
    monkeypatch.setattr(SensorTrainer, "run", lambda self, *_: self.average)
    result = CliRunner().invoke(app, ["train", str(tmp_path), "--sensors", *options])
    assert result.exit_code == 0, result.output
    assert f"; {steps} steps of 8 patches" in (tmp_path / "weights.md").read_text()


def test_levels_of_oblong_pixels_are_rejected(tmp_path):
    write(tmp_path / "made.tif", power_law_terrain(60, seed=1).astype(np.float32))
    with pytest.raises(ConfigError, match="1 x 2 pixels"):
        draw_examples([spec()], tmp_path, 1, seed=1)
