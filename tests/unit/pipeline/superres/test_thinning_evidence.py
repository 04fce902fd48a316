"""Samples and means of terrain are told apart by their curvature; nothing is stated without evidence."""

import numpy as np
import pytest

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.thinning_evidence import (
    LEAST_PX,
    accepted_thinning,
    averaging_log_odds,
    contradicted,
    features,
)
from tests.support.superres_fixtures import hills

FINE = hills(300, 300)


def test_features_do_not_depend_on_the_scale_or_orientation():
    first = features(FINE)
    assert first.shape == (8,)
    np.testing.assert_allclose(features(FINE * np.float32(4)), first, atol=1e-3)
    np.testing.assert_allclose(features(FINE.T), first, atol=1e-9)


def test_means_have_more_odds_of_averaging_than_samples():
    means = FINE.reshape(100, 3, 100, 3).mean(axis=(1, 3))
    assert averaging_log_odds(means) > averaging_log_odds(FINE[1::3, 1::3])


@pytest.mark.parametrize(
    "heights",
    [
        np.zeros((LEAST_PX - 1, 100), np.float32),
        np.full((40, 40), 7.0, np.float32),
        np.full((40, 40), np.nan, np.float32),
    ],
)
def test_small_flat_and_void_rasters_give_no_evidence(heights):
    assert averaging_log_odds(heights) is None
    assert accepted_thinning(Thinning.AVERAGED, heights) is Thinning.AVERAGED


@pytest.mark.parametrize(("odds", "expected"), [([], False), ([-3.0, -2.0, 5.0], True), ([-3.0, 0.0, 5.0], False)])
def test_the_median_decides(odds, expected):
    assert contradicted(odds) is expected


def test_decimation_is_never_overruled():
    assert accepted_thinning(Thinning.DECIMATED, FINE) is Thinning.DECIMATED
