"""Only passing faults are tried again, with waits that grow, differ and end."""

import time
from email.utils import formatdate

import pytest

from orograph.infra.stores.retry import Backoff, retry_after_s, retrying
from orograph.pipeline.errors import SourceChanged, StoreUnavailable, StoreUnwritable


def failing(*errors):
    left = list(errors)

    def call():
        if left:
            raise left.pop(0)
        return "done"

    return call


def test_waits_double_up_to_a_limit_and_follow_the_server():
    backoff = Backoff(first_s=1.0, longest_s=5.0)
    for failures, limit in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (9, 5.0)):
        assert 0.5 * limit <= backoff.wait_s(failures) <= limit
    assert backoff.wait_s(1, 3.0) == 3.0
    assert backoff.wait_s(1, 60.0) == 5.0


def test_passing_faults_are_tried_again_as_often_as_allowed():
    waits = []
    assert retrying(failing(*[StoreUnavailable("x")] * 2), Backoff(attempts=3), waits.append) == "done"
    assert len(waits) == 2
    with pytest.raises(StoreUnavailable, match="third"):
        retrying(
            failing(StoreUnavailable("1"), StoreUnavailable("2"), StoreUnavailable("third")),
            Backoff(attempts=3),
            waits.append,
        )


@pytest.mark.parametrize("error", [SourceChanged("x"), StoreUnwritable("x"), ValueError("x")])
def test_other_faults_are_raised_at_once(error):
    with pytest.raises(type(error)):
        retrying(failing(error), Backoff(), lambda _: pytest.fail("waited"))


def test_no_try_starts_after_the_total_time():
    with pytest.raises(StoreUnavailable):
        retrying(failing(StoreUnavailable("x")), Backoff(first_s=10.0, longest_s=10.0, total_s=1.0), lambda _: None)


def test_a_server_asks_for_a_wait_in_seconds_or_by_a_date():
    assert retry_after_s("7") == 7.0
    assert 0.0 <= retry_after_s(formatdate(time.time() + 30, usegmt=True)) <= 31.0
    assert retry_after_s("Fri, 31 Dec 1999 23:59:59 GMT") == 0.0
    assert retry_after_s("soon") is retry_after_s(None) is None
