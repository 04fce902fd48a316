"""The fitted filter recovers a linear relation between coarse and fine heights."""

import numpy as np
import pytest

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.fit_linear import fit_on_pairs, modes_of
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.interpolants import Interpolant
from tests.support.superres_fixtures import hills


def test_heights_of_a_linear_filter_are_fitted_exactly():
    pairs = []
    for seed in range(2):
        coarse = hills(24, 24, seed)
        fine, _ = Interpolant("gdal-cubic")(coarse, factor=3)
        pairs.append((coarse, fine))
    fitted = fit_on_pairs(pairs, 3, Thinning.DECIMATED)
    found, _ = fitted(pairs[0][0], factor=3, thinning=Thinning.DECIMATED)
    inner = (slice(24, -24),) * 2
    assert np.abs(found[inner] - pairs[0][1][inner]).max() < 0.05 * pairs[0][1].std()


def test_only_odd_factors_can_be_decimated():
    assert modes_of(3) == tuple(Thinning)
    assert modes_of(2) == (Thinning.AVERAGED,)


def test_voids_everywhere_are_an_error():
    with pytest.raises(ConfigError, match="without a void"):
        fit_on_pairs(
            [(np.full((12, 12), np.nan, np.float32), np.full((36, 36), np.nan, np.float32))], 3, Thinning.AVERAGED
        )
