"""The network adjustment: corrections close the loops, weighted by accuracy."""

import pytest

from orograph.pipeline.borders.solve import LEAST_DSM_M, Observation, adjust_network, source_weights
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.vertical import VerticalCatalogue
from tests.support.worlds import SOURCE


def observed(a, b, difference_m, count=4):
    return [Observation(a, b, difference_m, 0.01, 4.3e6 + 1000 * n, 3.0e6) for n in range(count)]


def test_a_step_is_shared_by_equal_sources_and_taken_by_the_weaker():
    equal = adjust_network(observed("a", "b", 0.10), {"a": 0.1, "b": 0.1})
    assert equal.adjustments["a"].constant_m == pytest.approx(-0.05, abs=0.001)
    assert equal.adjustments["b"].constant_m == pytest.approx(0.05, abs=0.001)
    assert equal.rms_before_m == pytest.approx(0.10)
    assert equal.rms_after_m < 0.002
    weak = adjust_network(observed("a", "b", 0.10), {"a": 0.01, "b": 0.2})
    assert weak.adjustments["b"].constant_m > 0.09


def test_contradictions_of_a_loop_are_distributed():
    loop = observed("a", "b", 0.03) + observed("b", "c", 0.03) + observed("c", "a", 0.03)
    found = adjust_network(loop, dict.fromkeys("abc", 1.0))
    assert all(abs(one.constant_m) < 1e-9 for one in found.adjustments.values())
    assert found.rms_after_m == pytest.approx(0.03)
    assert found.redundancy == 12


def test_a_tilt_is_found_by_planes():
    tilted = [Observation("a", "b", 0.001 * k, 0.01, 4.3e6 + 1000 * k, 3.0e6) for k in range(20)]
    found = adjust_network(tilted, {"a": 0.1, "b": 0.1}, model="plane")
    a, b = found.adjustments["a"], found.adjustments["b"]
    assert b.east_m_per_km - a.east_m_per_km > 0.0005
    assert found.rms_after_m < found.rms_before_m


def test_the_mean_error_of_a_block_widens_its_observations():
    exact = adjust_network(observed("a", "b", 0.10), {"a": 0.1, "b": 0.1})
    loose = adjust_network(observed("a", "b", 0.10), {"a": 0.1, "b": 0.1}, local_m={"b": 1.0})
    assert loose.adjustments["b"].constant_m < exact.adjustments["b"].constant_m


def test_nothing_to_adjust_is_an_error():
    with pytest.raises(ConfigError, match="no overlap"):
        adjust_network([], {})
    with pytest.raises(ConfigError, match="unknown for b"):
        adjust_network(observed("a", "b", 0.1), {"a": 0.1})


def test_a_dsm_is_as_uncertain_as_its_canopy(tmp_path):
    operation = VerticalCatalogue.load().operation("EPSG:5621", "EPSG:5621", grids_dir=tmp_path)
    survey = SOURCE.model_copy(update={"accuracy_m": 0.2})
    assert source_weights(survey, operation) == (operation.accuracy_m, 0.0)
    _, local_m = source_weights(survey.model_copy(update={"surface": Surface.DSM}), operation)
    assert local_m == LEAST_DSM_M
