"""The gate closes whole lattice blocks whose correction is small against its error."""

import numpy as np
import pytest
import torch

from orograph.pipeline.superres.network import MODES
from orograph.pipeline.superres.significance_gate import GATE_BLOCK_PX, Gate, change_ratio

FACTOR = 2
MODE = MODES[0]


def planes(rows=20, columns=30):
    cubic = np.zeros((rows * FACTOR, columns * FACTOR), np.float32)
    fine = cubic.copy()
    fine[:, 20 * FACTOR :] = 3.0
    return fine, cubic, np.ones_like(cubic)


def test_the_ratio_is_that_of_sums_over_lattice_blocks():
    ratio = change_ratio(*planes(), FACTOR)
    assert ratio.shape == (20, 30)
    np.testing.assert_allclose(ratio[:, :20], 0.0)
    np.testing.assert_allclose(ratio[:, 20:], 9.0)
    # With the lattice moved by five pixels a block has half of its pixels changed.
    moved = change_ratio(*planes(), FACTOR, (0, 5))
    np.testing.assert_allclose(moved[:, 15:25], 4.5)


def test_closed_blocks_are_cubic_and_the_inside_of_open_ones_takes_its_share():
    gate = Gate((4.0, 4.0), (0.5, 0.5))
    fine, cubic, sigma = planes()
    fine[:, : 10 * FACTOR] = 0.1
    heights, error = gate(fine, cubic, sigma, FACTOR, MODE)
    np.testing.assert_array_equal(heights[:, : 20 * FACTOR], 0.0)
    np.testing.assert_allclose(heights[:, 25 * FACTOR :], 1.5)
    np.testing.assert_allclose(error[:, 25 * FACTOR :], np.hypot(1.0, 1.5))


def test_an_open_gate_returns_its_input_and_voids_stay():
    fine, cubic, sigma = planes()
    assert Gate((0.0, 0.0), (1.0, 1.0))(fine, cubic, sigma, FACTOR, MODE)[0] is fine
    fine[0, 0] = np.nan
    assert np.isnan(Gate((0.0, 0.0), (0.5, 0.5))(fine, cubic, sigma, FACTOR, MODE)[0][0, 0])


def test_thresholds_are_read_by_mode():
    gate = Gate.from_tensors({"gate.thresholds": torch.tensor([[1.0, 0.5], [2.0, 0.25]])})
    assert gate == Gate((1.0, 2.0), (0.5, 0.25))
    assert Gate.from_tensors({}) is None


@pytest.mark.parametrize("shape", [(1, 1), (GATE_BLOCK_PX + 1, 3)])
def test_windows_of_any_size_have_a_ratio(shape):
    ones = np.ones((shape[0] * FACTOR, shape[1] * FACTOR), np.float32)
    np.testing.assert_allclose(change_ratio(2 * ones, ones, ones, FACTOR), np.ones(shape))
