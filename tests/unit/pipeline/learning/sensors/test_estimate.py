"""Standard errors by the jackknife over spatial groups."""

import numpy as np

from orograph.pipeline.learning.sensors.estimate import Parameters, jackknife


def test_the_error_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(1).normal(10, 2, 30)
    found = jackknife(list(values), lambda group: Parameters(*[float(np.mean(group))] * 5))
    np.testing.assert_allclose(found, values.std(ddof=1) / np.sqrt(30))


def test_too_few_groups_have_no_error():
    assert np.isinf(jackknife([1.0, 2.0], lambda _: Parameters(1, 1, 1, 1, 1))).all()
    assert Parameters(1, 2, 3, 4, 5).array().tolist() == [1, 2, 3, 4, 5]
