"""Which job runs next, which again, which never."""

import pytest

from orograph.infra.engines.protocol import Receipt, Status
from orograph.infra.engines.schedule import Policy, Schedule
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.errors import OutOfMemory, SourceCorrupt, StoreUnavailable, TileQuarantined
from tests.support.worlds import make_job

PATIENT = Policy(attempts=3, backoff=Backoff(first_s=2.0, longest_s=2.0))


def test_a_passing_fault_is_tried_again_after_a_wait_and_quarantined_at_last():
    schedule, now = Schedule([make_job()], PATIENT), 0.0
    for number in (1, 2, 3):
        attempt = schedule.next_attempt(now)
        assert attempt.number == number
        outcome = schedule.failed(attempt, StoreUnavailable("away"), now)
        if number < 3:
            assert outcome is None
            assert schedule.next_attempt(now) is None
            now += 2.0
    assert outcome.status is Status.QUARANTINED
    assert isinstance(outcome.error, TileQuarantined)
    assert schedule.finished


@pytest.mark.parametrize(
    ("error", "tries", "status"), [(SourceCorrupt, 1, Status.FAILED), (OutOfMemory, 2, Status.QUARANTINED)]
)
def test_other_faults_end_sooner(error, tries, status):
    schedule, now, outcome = Schedule([make_job()], PATIENT), 0.0, None
    for _ in range(tries):
        assert outcome is None
        outcome = schedule.failed(schedule.next_attempt(now), error("x"), now)
        now += 2.0
    assert outcome.status is status


def test_jobs_are_pulled_only_when_asked_for():
    pulled = []

    def jobs():
        for number in range(10):
            pulled.append(number)
            yield make_job(number)

    schedule = Schedule(jobs(), PATIENT)
    assert schedule.available(2) == 2
    schedule.next_attempt(0.0)
    assert pulled == [0, 1]
    assert schedule.wanted(5) == 5


def test_draining_starts_nothing_more():
    schedule = Schedule([make_job(), make_job(1)], PATIENT)
    attempt = schedule.next_attempt(0.0)
    schedule.drain()
    assert schedule.next_attempt(0.0) is None
    assert not schedule.finished
    job = attempt.job
    schedule.succeeded(attempt, Receipt(job.id, job.run_key, Status.DONE, job.manifest_key))
    assert schedule.finished
