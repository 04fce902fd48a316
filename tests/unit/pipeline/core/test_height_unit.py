"""Names and lengths of height units."""

import pytest

from orograph.pipeline.core.height_unit import FOOT_M, UNITS, US_SURVEY_FOOT_M, height_unit, unit_of_length


@pytest.mark.parametrize(
    ("text", "unit", "metres"),
    [
        ("Meter", "metre", 1.0),
        ("us_survey_foot", "US survey foot", 1200 / 3937),
        ("  US survey foot ", "US survey foot", 1200 / 3937),
        ("ft", "foot", 0.3048),
        ("U.S. Survey Foot", "US survey foot", 1200 / 3937),
        ("CM", "centimetre", 0.01),
        ("km", "kilometre", 1000.0),
    ],
)
def test_units_are_found_by_the_names_that_files_use(text, unit, metres):
    assert height_unit(text) == (unit, metres)


@pytest.mark.parametrize("text", ["", "furlong", "degree", "m2", "m/s"])
def test_an_unknown_unit_is_none(text):
    assert height_unit(text) is None


def test_the_two_feet_are_different_units():
    assert unit_of_length(FOOT_M) == ("foot", FOOT_M)
    assert unit_of_length(US_SURVEY_FOOT_M) == ("US survey foot", US_SURVEY_FOOT_M)
    assert unit_of_length(0.3048006) == ("US survey foot", US_SURVEY_FOOT_M)


def test_every_standard_name_is_found_by_name_and_by_length():
    for unit in UNITS:
        found = height_unit(unit)
        assert found is not None
        assert unit_of_length(found[1]) == found


@pytest.mark.parametrize("metres", [0.9144, 2.0, 0.0])
def test_other_lengths_are_no_known_unit(metres):
    assert unit_of_length(metres) is None
