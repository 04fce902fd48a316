"""Filters of the job list."""

from datetime import timedelta

import pytest

from orograph.infra.service.job_filter import PROCESS_ID, JobFilter
from orograph.infra.service.job_records import JobRecord, JobStatus, now
from orograph.infra.service.problem_documents import Problem

EMPTY = {
    "types": None, "processes": None, "statuses": None, "created": None, "min_duration_s": None, "max_duration_s": None, "tile": None,
}  # fmt: skip
MOMENT = now()
RECORD = JobRecord(
    id="a" * 32, tile="E4300N2650", run_key="k", status=JobStatus.SUCCESSFUL, created=MOMENT, updated=MOMENT,
    started=MOMENT, finished=MOMENT + timedelta(seconds=30),
)  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "met"),
    [
        ({}, True),
        ({"types": ["process"]}, True),
        ({"types": ["other"]}, False),
        ({"processes": [f"x,{PROCESS_ID}"]}, True),
        ({"statuses": ["failed,successful"]}, True),
        ({"statuses": ["failed", "running"]}, False),
        ({"created": "../2001-01-01T00:00:00Z"}, False),
        ({"min_duration_s": 30, "max_duration_s": 30}, True),
        ({"min_duration_s": 31}, False),
        ({"tile": "E4300N2700"}, False),
    ],
)
def test_all_conditions_must_be_met(conditions, met):
    assert JobFilter.parse(**{**EMPTY, **conditions}).matches(RECORD) is met


def test_a_job_that_has_not_started_has_no_duration():
    waiting = RECORD.model_copy(update={"status": JobStatus.ACCEPTED, "started": None, "finished": None})
    assert not JobFilter.parse(**{**EMPTY, "min_duration_s": 0}).matches(waiting)


def test_a_job_that_was_answered_at_once_lasted_no_time():
    answered = RECORD.model_copy(update={"started": None, "finished": MOMENT})
    assert JobFilter.parse(**{**EMPTY, "max_duration_s": 0}).matches(answered)
    assert not JobFilter.parse(**{**EMPTY, "min_duration_s": 1}).matches(answered)


@pytest.mark.parametrize("wrong", [{"statuses": ["done"]}, {"created": "yesterday"}])
def test_other_words_are_a_bad_request(wrong):
    with pytest.raises(Problem) as caught:
        JobFilter.parse(**{**EMPTY, **wrong})
    assert caught.value.status == 400
