"""The two routes between frames: verdicts, and the error where they disagree."""

import numpy as np
import pytest

from orograph.pipeline.borders.closure_check import RouteCheck, check_routes
from orograph.pipeline.errors import DatumDisagreement

PLACES = np.array([6.0, 6.1]), np.array([50.8, 50.9])


def test_one_frame_agrees_with_itself(tmp_path):
    assert check_routes(("EPSG:5621", "EPSG:5621"), *PLACES, tmp_path) == RouteCheck("agree", 0.0, 0.0, 0.0)


def test_a_missing_route_makes_the_check_impossible(tmp_path):
    found = check_routes(("EPSG:5709", "EPSG:5710"), *PLACES, tmp_path)
    assert found.verdict == "impossible"
    assert found.difference_m is None
    assert found.reason


def test_only_a_failed_check_insists():
    RouteCheck("warn", 0.1, 0.0, 0.1).insist("NL/BE")
    with pytest.raises(DatumDisagreement, match=r"NL/BE: .*\+20\.0 cm, 21\.0 cm at most") as caught:
        RouteCheck("fail", 0.2, 0.01, 0.21).insist("NL/BE")
    assert "--allow-disagreement" in caught.value.remedy
