"""Networks as resolvers: lattice blocks, voids, refusals, ensemble, gate."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from orograph.pipeline.errors import ConfigError, ModelError, OutOfMemory
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.inference import BLOCK_PX
from orograph.pipeline.superres.network import Condition
from tests.support.superres_fixtures import hills, made_weights


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    made_weights(path)
    return str(path)


@pytest.fixture(scope="module")
def gated(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "gated.safetensors"
    made_weights(path, gate=(0.8, 0.7))
    return str(path)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("ensemble", [False, True])
def test_every_tiling_gives_the_same_bits(gated, precision, ensemble):
    if ensemble and precision == "fp32":
        pytest.skip("the ensemble runs the same kernels; once is enough")
    up = resolver(gated, precision=precision, ensemble=ensemble, gate=True)
    coarse = hills(130, 150)
    coarse[40:50, 60:90] = np.nan
    origin = (BLOCK_PX - 60, 5 * BLOCK_PX - 40)
    whole, whole_sigma = up(coarse, origin_px=origin)
    halo = up.halo_px
    for r0, r1, c0, c1 in ((0, 60, 0, 150), (60, 130, 0, 71), (60, 130, 71, 150)):
        a, b, c, d = max(0, r0 - halo), min(130, r1 + halo), max(0, c0 - halo), min(150, c1 + halo)
        part, sigma = up(np.ascontiguousarray(coarse[a:b, c:d]), origin_px=(origin[0] + a, origin[1] + c))
        inner = np.s_[3 * (r0 - a) : 3 * (r1 - a), 3 * (c0 - c) : 3 * (c1 - c)]
        np.testing.assert_array_equal(part[inner], whole[3 * r0 : 3 * r1, 3 * c0 : 3 * c1])
        np.testing.assert_array_equal(sigma[inner], whole_sigma[3 * r0 : 3 * r1, 3 * c0 : 3 * c1])


def test_blocks_in_a_batch_give_the_bits_of_blocks_alone(weights):
    coarse = hills(30, 2 * BLOCK_PX)
    alone, _ = resolver(weights)(coarse)
    together, _ = resolver(weights, batch=3)(coarse)
    np.testing.assert_array_equal(alone, together)


def test_threads_do_not_change_bits(weights):
    coarse = hills(40, 40)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one, _ = resolver(weights)(coarse)
        torch.set_num_threads(2)
        two, _ = resolver(weights)(coarse)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(one, two)


def test_voids_stay_voids_and_touch_nothing_else(weights):
    coarse = hills(40, 50)
    coarse[10:14, 20:30] = np.nan
    fine, sigma = resolver(weights)(coarse)
    void = np.kron(np.isnan(coarse), np.ones((3, 3))).astype(bool)
    np.testing.assert_array_equal(np.isnan(fine), void)
    np.testing.assert_array_equal(np.isnan(sigma), void)
    np.testing.assert_allclose(fine[1::3, 1::3][~np.isnan(coarse)], coarse[~np.isnan(coarse)], atol=1e-3)


def test_a_window_of_voids_costs_nothing_and_stays_void(weights):
    fine, _ = resolver(weights)(np.full((8, 9), np.nan, np.float32))
    assert np.isnan(fine).all()


def test_networks_that_give_nan_are_refused(weights):
    up = resolver(weights)
    up._net.tail.data[0, 0, 0, 0, 0] = torch.nan
    with pytest.raises(ModelError, match="not finite"):
        up(hills(12, 12))


def test_the_ensemble_is_symmetric(weights):
    up = resolver(weights, ensemble=True, precision="fp32")
    coarse = hills(30, 30)
    turned = np.ascontiguousarray(np.rot90(coarse))
    a, _ = up(coarse)
    b, _ = up(turned)
    np.testing.assert_allclose(np.rot90(a)[30:60, 30:60], b[30:60, 30:60], atol=2e-3)


def test_another_factor_falls_back_and_says_so(weights, caplog):
    with caplog.at_level(logging.WARNING):
        fine, sigma = resolver(weights)(hills(10, 10), factor=5)
    assert fine.shape == (50, 50)
    assert sigma is None
    assert "keys6" in caplog.text


def test_a_closed_gate_is_gdal_cubic(tmp_path):
    path = tmp_path / "closed.safetensors"
    made_weights(path, gate=(1e9, 1.0))
    coarse = hills(20, 20)
    fine, sigma = resolver(str(path), gate=True)(coarse)
    cubic, _ = resolver("gdal-cubic")(coarse)
    np.testing.assert_array_equal(fine, cubic)
    assert (sigma >= resolver(str(path), gate=False)(coarse)[1]).all()


def test_noise_and_aspect_change_the_answer(weights):
    coarse = hills(20, 20)
    plain, _ = resolver(weights)(coarse)
    assert not np.array_equal(resolver(weights, noise_m=1.0)(coarse)[0], plain)
    assert not np.array_equal(resolver(weights)(coarse, pixel_size_m=(20.0, 30.0))[0], plain)
    np.testing.assert_array_equal(resolver(weights)(coarse, pixel_size_m=(30.0, 30.4))[0], plain)


def test_modes_differ_and_bands_widen_with_relief(weights):
    coarse = hills(20, 20)
    up = resolver(weights)
    assert not np.array_equal(up(coarse)[0], up(coarse, thinning=Thinning.AVERAGED)[0])
    assert np.nanmean(up(coarse * 3)[1]) > 2 * np.nanmean(up(coarse)[1])


def test_bad_options_are_refused(weights):
    with pytest.raises(ConfigError, match="precision"):
        resolver(weights, precision="int3")


class Scarce:
    """An engine on a device with memory for a few blocks at once; what it can run it runs for real."""

    def __init__(self, engine, fits):
        self.engine, self.fits, self.asked = engine, fits, []

    def __call__(self, windows):
        self.asked.append(len(windows))
        if len(windows) > self.fits:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return self.engine(windows)


def scarce(up, fits, monkeypatch):
    engine = Scarce(up._folded_for(Condition()), fits)
    monkeypatch.setitem(up._folded, Condition(), engine)
    return engine


def test_out_of_device_memory_halves_the_batch_for_good(weights, monkeypatch, caplog):
    up = resolver(weights, batch=4)
    engine = scarce(up, 1, monkeypatch)
    coarse = hills(20, 3 * BLOCK_PX)
    expected, expected_sigma = resolver(weights)(coarse)
    with caplog.at_level(logging.WARNING):
        fine, sigma = up(coarse)
    assert engine.asked == [4, 2, 1, 1, 1], "every block once, and none lost on the way down"
    assert "batch is now 1" in caplog.text
    np.testing.assert_array_equal(fine, expected)
    np.testing.assert_array_equal(sigma, expected_sigma)
    up(coarse[:, :BLOCK_PX])
    assert engine.asked[5:] == [1], "what did not fit once is not tried again"


def test_no_memory_for_one_block_is_an_error_that_may_pass(weights, monkeypatch):
    up = resolver(weights, batch=2)
    engine = scarce(up, 0, monkeypatch)
    with pytest.raises(OutOfMemory, match="no memory for one block") as caught:
        up(hills(20, 20))
    assert engine.asked == [2, 1]
    assert caught.value.retryable
    assert "fewer workers" in caught.value.remedy


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_tilings_and_batches_agree_on_cuda(weights):
    coarse = hills(60, 2 * BLOCK_PX)
    up = resolver(weights, device="cuda")
    whole, _ = up(coarse)
    halo = up.halo_px
    start = BLOCK_PX + 30
    part, _ = up(np.ascontiguousarray(coarse[:, start - halo :]), origin_px=(0, start - halo))
    np.testing.assert_array_equal(part[:, 3 * halo :], whole[:, 3 * start :])
    np.testing.assert_array_equal(resolver(weights, device="cuda", batch=2)(coarse)[0], whole)
    np.testing.assert_allclose(whole, resolver(weights, precision="fp32")(coarse)[0], atol=0.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_errors_that_are_not_finite_are_refused_too(weights, value):
    up = resolver(weights)
    up._folded_for(Condition()).error[0, 0, 0, 0] = value
    with pytest.raises(ModelError, match="errors that are not finite"):
        up(hills(12, 12))
