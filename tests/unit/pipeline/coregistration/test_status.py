"""Which ends of an estimation give a displacement to use."""

from orograph.pipeline.coregistration.status import CoregistrationStatus


def test_only_observed_displacements_are_aligned():
    assert {status for status in CoregistrationStatus if status.aligned} == {
        CoregistrationStatus.CONVERGED,
        CoregistrationStatus.UNDULATED,
        CoregistrationStatus.ONE_DIRECTION,
    }


def test_statuses_are_read_back_from_their_value():
    assert all(CoregistrationStatus(status.value) is status for status in CoregistrationStatus)
