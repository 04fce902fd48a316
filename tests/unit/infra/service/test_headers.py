"""Headers of every answer, and who may read across origins."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from orograph.infra.service.headers import PublicReading, SafeHeaders

ORIGIN = {"Origin": "https://other.example"}


@pytest.fixture(scope="module")
def client():
    routes = [
        Route(path, lambda _request: PlainTextResponse("x"), methods=["GET", "POST"])
        for path in ("/", "/files/a.html", "/jobs", "/stac/search")
    ]
    return TestClient(SafeHeaders(PublicReading(Starlette(routes=routes))))


def test_nothing_of_a_store_is_a_page(client):
    assert client.get("/files/a.html").headers["content-security-policy"] == "default-src 'none'; sandbox"
    page = client.get("/").headers
    assert "script-src 'self'" in page["content-security-policy"]
    assert page["x-content-type-options"] == "nosniff"


def test_any_page_may_read_and_search(client):
    for answer in (client.get("/", headers=ORIGIN), client.post("/stac/search", headers=ORIGIN)):
        assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in client.get("/").headers


def test_no_page_may_order(client):
    assert "access-control-allow-origin" not in client.post("/jobs", headers=ORIGIN).headers
    preflight = ORIGIN | {"Access-Control-Request-Method": "POST"}
    assert client.options("/jobs", headers=preflight).status_code == 403
    assert client.options("/stac/search", headers=preflight).status_code == 204
