"""TF32 is a precision of networks' bodies: heights keep all their bits, and only devices that have it use it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from orograph.pipeline.bare_earth.remove import bare_earth
from orograph.pipeline.core.numerics import numerics_of
from orograph.pipeline.core.precision import autocast, convolutions, supported_precisions, used_precision
from orograph.pipeline.learning.superres.train import Trainer
from orograph.pipeline.superres import resolver
from tests.support.superres_fixtures import hills, made_weights
from tests.support.tensor_float import rounded, tensor_cores
from tests.support.training_sites import plan, site
from tests.unit.pipeline.learning.superres.conftest import quick_bases  # noqa: F401 - a fixture


def test_rounding_keeps_ten_bits_and_goes_to_even():
    values = torch.tensor([1.0, 1.0 + 2**-11, 1.0 + 3 * 2**-11, 1.0 + 2**-10, -3.25, 1e-30])
    kept = rounded(values)
    assert kept[:5].tolist() == [1.0, 1.0, 1.0 + 2**-9, 1.0 + 2**-10, -3.25]
    assert abs(float(kept[5]) / 1e-30 - 1.0) < 2**-11


@pytest.mark.parametrize("device", ["cpu", "privateuseone"])
def test_devices_without_it_compute_in_single_precision(device):
    assert used_precision("tf32", device) == "fp32"
    assert "tf32" not in supported_precisions(device)
    before = torch.backends.cudnn.allow_tf32
    with convolutions("tf32", device):
        assert torch.backends.cudnn.allow_tf32 == before


def test_the_switch_is_as_asked_within_and_as_before_afterwards():
    with tensor_cores():
        for outer, inner in (("fp32", "tf32"), ("tf32", "fp32"), ("bf16", "tf32")):
            with convolutions(outer, "cpu"), convolutions(inner, "cpu"):
                assert torch.backends.cudnn.allow_tf32 == (inner == "tf32")
        with pytest.raises(ValueError, match="inside"), autocast("tf32"):
            raise ValueError("inside")
        assert not torch.backends.cudnn.allow_tf32


def test_threads_with_other_precisions_take_turns():
    seen = []

    def other() -> None:
        with convolutions("fp32", "cpu"):
            seen.append(torch.backends.cudnn.allow_tf32)

    with tensor_cores():
        thread = threading.Thread(target=other)
        with convolutions("tf32", "cpu"):
            thread.start()
            thread.join(0.05)
            assert thread.is_alive(), "it waits for the switch"
            assert torch.backends.cudnn.allow_tf32
        thread.join(60)
    assert seen == [False]


def test_a_networks_body_alone_is_rounded(tmp_path):
    made_weights(tmp_path / "tiny.safetensors")
    coarse = hills(40, 44)
    exact, sigma = resolver(str(tmp_path / "tiny.safetensors"))(coarse)
    with tensor_cores() as cores:
        up = resolver(str(tmp_path / "tiny.safetensors"), precision="tf32")
        assert up.precision == "tf32"
        assert numerics_of([up])["precision"] == "tf32"
        fine, spread = up(coarse)
        layers = 2 * len(up.preset.dilations) + 2
        assert cores.count == {True: layers, False: 2}, "head and base run in single precision"
    differences = np.abs(fine - exact)
    assert 0 < differences.max() < 0.1
    np.testing.assert_allclose(fine[1::3, 1::3], coarse, atol=1e-3)
    np.testing.assert_allclose(spread, sigma, rtol=0.01)


@pytest.mark.usefixtures("quick_bases")
def test_training_keeps_heights_whole_and_rounds_bodies_and_gradients(tmp_path):
    with tensor_cores() as cores:
        trainer = Trainer(plan(precision="tf32", steps=2), [site()], tmp_path / "tf32")
        cores.count.update({True: 0, False: 0})
        trainer.run(until=1)
        blocks = len(trainer.net.body)
        assert cores.count[False] >= 2, "head and base of each pass"
        assert cores.count[True] >= 4 * blocks + 2
    other = Trainer(plan(steps=2), [site()], tmp_path / "fp32")
    other.run(until=1)
    difference = max(
        float((a - b).detach().abs().max())
        for a, b in zip(trainer.net.parameters(), other.net.parameters(), strict=True)
    )
    assert 0 < difference < 0.02


def test_bare_earth_takes_its_own_precision():
    surface = hills(120, 120) / 20
    surface[40:52, 40:52] += 9.0
    exact = bare_earth(surface, 2.0, "bare-earth-2m")
    with tensor_cores() as cores:
        found = bare_earth(surface, 2.0, "bare-earth-2m", precision="tf32")
        assert cores.count[False] == 0
        assert cores.count[True] > 10
    assert numerics_of([], bare_earth="tf32")["precision"] == "fp32"
    assert (found.mask != exact.mask).mean() < 0.01
    both = found.mask & exact.mask
    assert both[42:50, 42:50].all()
    assert 0 < np.abs(found.heights_m - exact.heights_m)[both].max() < 0.1
