"""Height classes: thresholds, membership, rejected ranges."""

import numpy as np
import pytest
import torch

from orograph.pipeline.bare_earth.height_classes import Bins, Spacing
from orograph.pipeline.errors import ConfigError


@pytest.mark.parametrize("spacing", list(Spacing))
def test_thresholds_span_the_range_and_middles_belong_to_their_class(spacing):
    bins = Bins(0.0, 60.0, 16, spacing)
    thresholds = bins.thresholds_m
    assert thresholds[[0, -1]] == pytest.approx([0.0, 60.0])
    assert (np.diff(thresholds) > 0).all()
    assert bins.classes(torch.from_numpy(bins.middles_m)).tolist() == list(range(16))


def test_logarithmic_classes_widen_and_equal_ones_do_not():
    assert (np.diff(Bins(spacing=Spacing.SID).thresholds_m, 2) > 0).all()
    np.testing.assert_allclose(np.diff(Bins(spacing=Spacing.UNIFORM).thresholds_m), 60 / 32)


def test_heights_beyond_the_range_are_in_the_classes_at_its_ends():
    assert Bins(count=4).classes(torch.tensor([-5.0, 1e4])).tolist() == [0, 3]


def test_a_description_is_read_back():
    bins = Bins(1.0, 30.0, 8, Spacing.UNIFORM)
    assert Bins.from_dict(bins.to_dict()) == bins


@pytest.mark.parametrize("values", [(0.0, 60.0, 1), (5.0, 5.0, 8), (-1.0, 60.0, 8), (0.0, float("inf"), 8)])
def test_impossible_ranges_are_config_errors(values):
    with pytest.raises(ConfigError):
        Bins(*values)
