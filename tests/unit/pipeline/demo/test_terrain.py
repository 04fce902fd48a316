"""The made terrain: noise of the requested spectrum, repeatable relief."""

import numpy as np
import pytest

from orograph.pipeline.demo.terrain import noise, relief


def test_noise_has_unit_variance_and_no_short_waves():
    values = noise((128, 128), np.random.default_rng(1), falloff=2.0, shortest_px=8.0, longest_px=60.0)
    assert values.std() == pytest.approx(1.0)
    assert abs(values.mean()) < 1e-9
    spectrum = np.abs(np.fft.rfft2(values)) ** 2
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None])
    assert spectrum[frequency > 0.25].sum() < 1e-6 * spectrum.sum()


def test_relief_is_the_same_for_a_seed_and_above_the_sea():
    first, again, other = (relief((64, 64), np.random.default_rng(seed), 100.0) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.min() > 0
