"""Bounds on how much and how often one caller may send."""

import pytest
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from orograph.infra.service.limits import RateLimiter, SizeLimits, caller_network
from orograph.infra.service.problem_documents import install


def test_a_minutes_allowance_comes_at_once_and_refills_evenly():
    clock = [0.0]
    limiter = RateLimiter(2, lambda: clock[0])
    assert [limiter.wait_s("a") for _ in range(3)] == [0, 0, 30]
    assert limiter.wait_s("b") == 0
    clock[0] = 29.0
    assert limiter.wait_s("a") == 1
    clock[0] = 31.0
    assert limiter.wait_s("a") == 0


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        (None, "unknown"),
        ("x" * 80, "x" * 64),
    ],
)
def test_callers_without_a_key_are_counted_by_network(host, network):
    assert caller_network(host) == network


@pytest.fixture(scope="module")
def client():
    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    app = FastAPI()
    install(app)
    app.add_api_route("/", echo, methods=["GET", "POST"])
    return TestClient(SizeLimits(app, max_body_bytes=10, max_url_bytes=50))


def test_long_urls_and_bodies_are_rejected_before_they_are_read(client):
    assert client.post("/", content=b"1234567890").text == "10"
    assert client.post("/", content=b"12345678901").status_code == 413
    assert client.get("/?" + "a" * 60).status_code == 414
    assert client.post("/", content=iter([b"123456", b"123456"])).status_code == 413
