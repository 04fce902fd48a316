"""The ensemble of a shipped network is the mean of it and of its partner."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.core.bundled_weights import bundled_index
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.ensemble import Ensemble
from orograph.pipeline.superres.resolvers import resolver
from tests.support.superres_fixtures import hills


@pytest.mark.parametrize("thinning", list(Thinning))
def test_the_ensemble_is_the_mean_of_both(thinning):
    heights = hills(40, 30)
    heights[5:9, 20:24] = np.nan
    both = resolver("superres-s", ensemble=True)
    assert isinstance(both, Ensemble)
    assert both.name == "superres-s"
    alone, free = resolver("superres-s"), resolver("superres-s-free", ensemble=True)
    fine, sigma = both(heights, thinning=thinning)
    parts = [up(heights, thinning=thinning) for up in (alone, free)]
    np.testing.assert_allclose(fine, (parts[0][0] + parts[1][0]) / 2.0, atol=2e-4)
    np.testing.assert_allclose(sigma, (parts[0][1] + parts[1][1]) / 2.0, rtol=1e-5)
    assert np.isnan(fine).sum() == 9 * np.isnan(heights).sum()
    if thinning is Thinning.DECIMATED:
        np.testing.assert_array_equal(fine[1::3, 1::3], heights)
    assert alone.wide_ratio(thinning) != free.wide_ratio(thinning)
    ratios = sorted(up.wide_ratio(thinning) for up in (alone, free))
    assert ratios[0] < both.wide_ratio(thinning) < ratios[1]


def test_tilings_give_the_same_bits():
    up = resolver("superres-s", ensemble=True)
    assert up.halo_px >= resolver("superres-s").halo_px
    heights = hills(150, 140)
    whole, _ = up(heights)
    halo = up.halo_px
    part, _ = up(heights[20:130, 10:120], origin_px=(20, 10))
    inner = slice(3 * halo, -3 * halo)
    np.testing.assert_array_equal(part[inner, inner], whole[60:390, 30:360][inner, inner])


def test_another_factor_is_interpolated_and_partners_ship():
    fine, sigma = resolver("superres-s", ensemble=True)(hills(12, 12), factor=2, thinning=Thinning.AVERAGED)
    assert fine.shape == (24, 24)
    assert sigma is None
    index = bundled_index("superres")
    partners = {name: entry["ensemble_with"] for name, entry in index.items() if "ensemble_with" in entry}
    assert partners == {"superres-s": "superres-s-free", "superres-s-fold": "superres-s-free-fold"}
    assert set(partners.values()) <= set(index)
