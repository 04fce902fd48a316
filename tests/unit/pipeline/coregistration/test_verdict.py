"""An estimate is accepted or rejected with a reason that names the numbers."""

from dataclasses import replace

import numpy as np
import pytest

from orograph.pipeline.coregistration.estimate import Estimate, SlopeSpread
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.fitting import make_pair
from orograph.pipeline.coregistration.status import CoregistrationStatus
from orograph.pipeline.coregistration.verdict import beyond, judge, one_direction
from tests.support.pairs import plane_raster, still_with

RASTER = plane_raster(40, 40)
PAIR = make_pair(RASTER, RASTER, None, 1)
BEFORE = np.linspace(-3, 3, 500)
AFTER = BEFORE / 10
GOOD = Estimate(
    field=still_with(RASTER.geobox, east_m=8.0),
    iterations=4,
    settled=True,
    covariance=np.diag([0.01, 0.01, 0.01]),
    condition=2.0,
    slopes=SlopeSpread(0.1, 0.2, (0.0, 1.0)),
    scale=np.array([1.0, 0.0]),
)


def test_an_observed_shift_that_improves_the_heights_has_converged():
    verdict = judge(PAIR, GOOD, BEFORE, AFTER, 100.0)
    assert (verdict.status, verdict.reason, verdict.remedy) == (CoregistrationStatus.CONVERGED, "", "")


@pytest.mark.parametrize(
    ("changed", "after", "limit_m", "status", "reason"),
    [
        ({"slopes": SlopeSpread(0.001, 0.2)}, AFTER, 100.0, CoregistrationStatus.UNOBSERVABLE, "does not determine"),
        (
            {"covariance": np.diag([0.01, 36.0, 0.01])},
            AFTER,
            100.0,
            CoregistrationStatus.UNOBSERVABLE,
            "standard error of 6.00 m",
        ),
        (
            {"covariance": np.full((3, 3), np.inf)},
            AFTER,
            100.0,
            CoregistrationStatus.UNOBSERVABLE,
            "standard error of inf",
        ),
        ({}, AFTER, 5.0, CoregistrationStatus.REJECTED, "found a shift of 8 m, the limit is 5 m"),
        ({"settled": False}, AFTER, 100.0, CoregistrationStatus.REJECTED, "still moving after 4 steps"),
        ({}, AFTER[:99], 100.0, CoregistrationStatus.REJECTED, "too few common pixels"),
        ({}, BEFORE * 2, 100.0, CoregistrationStatus.REJECTED, "NMAD would go from"),
    ],
)
def test_what_speaks_against_a_shift_is_named(changed, after, limit_m, status, reason):
    verdict = judge(PAIR, replace(GOOD, **changed), BEFORE, after, limit_m)
    assert verdict.status is status
    assert reason in verdict.reason
    assert verdict.remedy


def test_a_limit_is_given_in_pixels_too_and_the_remedy_allows_twice_the_shift():
    verdict = beyond(730.0, 600.0, 10.0)
    assert "(60 pixels)" in verdict.reason
    assert verdict.remedy.endswith("--max-shift 1000")


@pytest.mark.parametrize(
    ("direction", "along", "across"), [((0.0, 1.0), 0, 90), ((1.0, 0.0), 90, 0), ((0.6, -0.8), 143, 53)]
)
def test_one_direction_names_both_azimuths(direction, along, across):
    verdict = one_direction(replace(GOOD, slopes=SlopeSpread(0.0, 0.2, direction)))
    assert verdict.status is CoregistrationStatus.ONE_DIRECTION
    assert f"azimuth {along} degrees" in verdict.reason
    assert f"({across} degrees)" in verdict.reason


def test_a_still_field_is_no_longer_than_any_limit():
    verdict = judge(PAIR, replace(GOOD, field=DisplacementField(RASTER.geobox)), BEFORE, BEFORE, 0.0)
    assert verdict.status is CoregistrationStatus.CONVERGED
