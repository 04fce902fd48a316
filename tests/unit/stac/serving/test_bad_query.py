"""A malformed search is a usage error, so that services answer 400 and commands exit with 2."""

from orograph.pipeline.errors import UsageError
from orograph.stac.serving.bad_query import BadQuery


def test_a_bad_query_is_a_usage_error():
    error = BadQuery("limit is not a number")
    assert isinstance(error, UsageError)
    assert error.exit_code == UsageError("x").exit_code
    assert not error.retryable
