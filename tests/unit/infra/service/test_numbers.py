"""Requests are counted by route, never by what callers wrote into the path."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from orograph.infra.service.job_records import JobRecord, JobStatus, now
from orograph.infra.service.numbers import CountedRequests, Numbers


@pytest.fixture
def numbers():
    return Numbers()


def test_unmatched_paths_share_one_label(numbers):
    app = Starlette(routes=[Route("/jobs", lambda _request: PlainTextResponse("x"))])
    client = TestClient(CountedRequests(app, numbers))
    for path in ("/jobs", "/a", "/b", "/files/x/y.tif"):
        client.get(path)
    text = numbers.text([], waiting=0, streams=0, read_only=False).decode()
    assert 'orograph_http_requests_total{method="GET",route="unmatched",status="404"} 2.0' in text
    assert 'route="/files/*"' in text
    assert "y.tif" not in text
    assert "orograph_http_requests_in_flight 0.0" in text


def test_jobs_are_counted_by_state(numbers):
    record = JobRecord(id="a" * 32, tile="T", run_key="k", created=now(), updated=now(), status=JobStatus.FAILED)
    text = numbers.text([record, record], waiting=3, streams=1, read_only=True).decode()
    assert 'orograph_jobs{status="failed"} 2.0' in text
    assert 'orograph_jobs{status="running"} 0.0' in text
    assert "orograph_jobs_waiting 3.0" in text
    assert "orograph_store_read_only 1.0" in text
