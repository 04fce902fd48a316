"""Execution requests: inputs inline or qualified, outputs, and how long to wait."""

import pytest
from pydantic import ValidationError

from orograph.infra.service.execution import Execute, Preference, ResultForm


def test_inputs_may_be_qualified():
    plain = Execute.model_validate({"inputs": {"tile": "E4300N2650"}})
    qualified = Execute.model_validate({"inputs": {"tile": {"value": "E4300N2650", "mediaType": "text/plain"}}})
    assert qualified.inputs == plain.inputs
    assert plain.form == ResultForm("document", ("item", "manifest"))


def test_outputs_choose_the_form():
    request = Execute.model_validate({"inputs": {"tile": "E4300N2650"}, "outputs": {"item": {}}, "response": "raw"})
    assert request.form == ResultForm("raw", ("item",))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"subscriber": {"successUri": "https://x/"}}, "callbacks are not supported"),
        ({"inputs": {"tile": {"href": "https://x/"}}}, "by reference"),
        ({"outputs": {"item": {"format": {"mediaType": "image/png"}}}}, "comes as application/geo"),
        ({"mode": "sync"}, "Extra inputs"),
    ],
)
def test_other_requests_are_rejected(changes, says):
    with pytest.raises(ValidationError, match=says):
        Execute.model_validate({"inputs": {"tile": "E4300N2650"}, **changes})


@pytest.mark.parametrize(
    ("header", "wait_s", "applied"),
    [
        ("", 25.0, ""),
        ("respond-async", 0.0, "respond-async"),
        ("respond-async, wait=5", 5.0, "respond-async"),
        ("wait=10", 10.0, "wait=10"),
        ("wait=999", 25.0, "wait=25"),
        ("return=minimal", 25.0, ""),
    ],
)
def test_preferences_are_bounded(header, wait_s, applied):
    assert Preference.parse(header, 25.0) == Preference(wait_s, applied)
