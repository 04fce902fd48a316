"""OGC API - Processes as its clients and its conformance classes have it: OWSLib, forms of results, job lists, OpenAPI."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from openapi_spec_validator import OpenAPIV30SpecValidator
from owslib.ogcapi.processes import Processes

from orograph.infra.service.app import create_app
from orograph.infra.service.auth import KeyRing
from orograph.infra.service.settings import ServiceSettings
from orograph.stac.serving.api import search_app
from tests.support.live import live
from tests.support.service_world import EAST, UNPUBLISHED, WEST, Engine, World

ORDER = "/processes/reprocess-tile/execution"
ASYNC = {"prefer": "respond-async"}


def settings(**changes: Any) -> ServiceSettings:
    return ServiceSettings(**{"allowed_hosts": ("*",), "orders_per_minute": 10_000, **changes})


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, pixel_m=500.0)
    made.publish(WEST)
    return made


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with TestClient(create_app(settings(), world.parts()), base_url="http://x.example") as made:
        yield made


def order(client: TestClient, tile: str = UNPUBLISHED.id, headers: Any = None, **members: Any) -> Any:
    return client.post(ORDER, json={"inputs": {"tile": tile}, **members}, headers=headers)


def ended(client: httpx.Client, location: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        document: dict[str, Any] = client.get(location).json()
        if document["status"] not in {"accepted", "running"}:
            return document
        time.sleep(0.02)
    raise TimeoutError(location)


def test_owslib_executes_both_ways(world: World) -> None:
    app = create_app(settings(), world.parts())
    app.state.service.dispatcher.start()
    try:
        with live(app) as url:
            service = Processes(url)
            assert service.api()["openapi"].startswith("3.0")
            assert (
                "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/oas30" in service.conformance()["conformsTo"]
            )
            assert [process["id"] for process in service.processes()] == ["reprocess-tile"]
            described = service.process("reprocess-tile")
            assert {"sync-execute", "async-execute"} <= set(described["jobControlOptions"])
            results = service.execute("reprocess-tile", {"tile": UNPUBLISHED.id})
            assert results["item"]["href"].endswith(f"{UNPUBLISHED.id}.json")
            job = Processes(url).execute("reprocess-tile", {"tile": EAST.id}, {"item": {}}, async_=True)
            assert (job["type"], job["processID"]) == ("process", "reprocess-tile")
            with httpx.Client(base_url=url) as client:
                assert ended(client, f"/jobs/{job['jobID']}")["status"] == "successful"
                assert set(client.get(f"/jobs/{job['jobID']}/results").json()) == {"item"}
    finally:
        app.state.service.dispatcher.stop()


def test_without_a_preference_the_answer_is_the_results(client: TestClient) -> None:
    answer = order(client)
    assert answer.status_code == 200
    assert client.get(answer.json()["item"]["href"]).json()["id"] == UNPUBLISHED.id
    assert client.get(answer.json()["manifest"]["href"]).json()["tile"] == UNPUBLISHED.id


def test_raw_results_are_link_headers(client: TestClient) -> None:
    answer = order(client, response="raw", outputs={"manifest": {"transmissionMode": "reference"}})
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.get(answer.links["manifest"]["url"]).json()["tile"] == UNPUBLISHED.id
    assert "item" not in answer.links
    job = order(client, EAST.id, ASYNC, response="raw")
    ended(client, job.headers["location"])
    results = client.get(job.headers["location"] + "/results")
    assert results.status_code == 204
    assert set(results.links) == {"item", "manifest"}


def test_a_long_synchronous_order_is_answered_with_its_job(world: World) -> None:
    engine = Engine(open_=False)
    with TestClient(create_app(settings(sync_wait_s=0.3), world.parts(engine))) as client:
        begun = time.monotonic()
        answer = order(client)
        assert 0.25 < time.monotonic() - begun < 5
        assert answer.status_code == 201
        assert answer.json()["status"] in {"accepted", "running"}
        begun = time.monotonic()
        assert order(client, EAST.id, {"prefer": "respond-async"}).headers["preference-applied"] == "respond-async"
        assert time.monotonic() - begun < 0.25
        engine.gate.set()
        assert ended(client, answer.headers["location"])["status"] == "successful"
        assert order(client, headers={"prefer": "wait=5"}).headers["preference-applied"] == "wait=0"


@pytest.mark.parametrize(
    "inputs",
    [
        {"tile": {"value": WEST.id}},
        {"tile": {"value": WEST.id, "mediaType": "text/plain"}, "sources": {"value": []}},
        {"tile": WEST.id, "settings": {"value": {}}},
        {"tile": WEST.id, "sources": [{"value": "fine-dtm"}, "glo-30"]},
    ],
)
def test_qualified_values_are_values(client: TestClient, inputs: Any) -> None:
    answer = client.post(ORDER, json={"inputs": inputs})
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"item", "manifest"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"inputs": {"tile": {"href": "https://x.example/tile.json"}}}, "not fetched"),
        ({"inputs": {"tile": WEST.id}, "outputs": {"map": {}}}, "outputs"),
        ({"inputs": {"tile": WEST.id}, "outputs": {"item": {"transmissionMode": "value"}}}, "reference"),
        ({"inputs": {"tile": WEST.id}, "outputs": {"item": {"format": {"mediaType": "image/tiff"}}}}, "geo+json"),
        ({"inputs": {"tile": WEST.id}, "response": "pretty"}, "document"),
        (
            {"inputs": {"tile": WEST.id}, "subscriber": {"successUri": "https://x.example"}},
            "callbacks are not supported",
        ),
        ({"inputs": {}}, "tile"),
        ({}, "inputs"),
    ],
)
def test_what_cannot_be_executed_is_a_problem(client: TestClient, body: Any, words: str) -> None:
    answer = client.post(ORDER, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


def test_the_job_list_is_filtered_as_the_standard_says(world: World) -> None:
    engine = Engine(open_=False)
    with TestClient(create_app(settings(), world.parts(engine))) as client:
        done = order(client, WEST.id, ASYNC).json()["jobID"]
        waiting = order(client, headers=ASYNC).json()["jobID"]

        def listed(query: str) -> set[str]:
            answer = client.get(f"/jobs?{query}")
            assert answer.status_code == 200, answer.text
            return {job["jobID"] for job in answer.json()["jobs"]}

        assert listed("") == listed("type=process") == listed("processID=other,reprocess-tile") == {done, waiting}
        assert listed("processID=nope") == listed("type=wps") == set()
        assert listed("status=successful") == {done}
        assert listed("status=successful,accepted,running") == {done, waiting}
        assert listed("status=accepted&status=running") == {waiting}
        assert listed("datetime=2020-01-01T00:00:00Z/..") == {done, waiting}
        assert listed("datetime=../2020-01-01T00:00:00Z") == set()
        assert listed("minDuration=3600") == set()
        assert waiting in listed("maxDuration=3600") or client.get(f"/jobs/{waiting}").json()["status"] == "accepted"
        page = client.get("/jobs?limit=1&type=process").json()
        following = next(link["href"] for link in page["links"] if link["rel"] == "next")
        assert "type=process" in following
        assert client.get(following).json()["numberReturned"] == 1
        for query in ("status=done", "datetime=yesterday", "minDuration=x", "limit=0"):
            answer = client.get(f"/jobs?{query}")
            assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), query
        engine.gate.set()


def test_operators_dismiss_what_others_ordered(world: World, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    orderer, other, operator = (
        {"x-api-key": ring.create(name, scopes)}
        for name, scopes in (("a", ("read", "run")), ("b", ("read", "run")), ("c", ("read", "admin")))
    )
    engine = Engine(open_=False)
    app = create_app(settings(auth="run", keys_file=ring.path), world.parts(engine))
    with TestClient(app) as client:
        assert order(client, headers=operator).status_code == 403
        location = order(client, headers={**orderer, **ASYNC}).headers["location"]
        ring.revoke(orderer["x-api-key"].split("_")[1])
        assert client.delete(location, headers=other).status_code == 403
        assert "admin" in client.delete(location, headers=other).json()["detail"]
        assert client.delete(location, headers=operator).json()["status"] == "dismissed"
        engine.gate.set()


def test_descriptions_are_the_openapi_that_is_claimed(client: TestClient, world: World) -> None:
    with TestClient(search_app(world.store)) as catalogue:
        for one, path in ((client, "/openapi.json"), (client, "/stac/openapi.json"), (catalogue, "/openapi.json")):
            description = one.get(path).json()
            assert description["openapi"] == "3.0.3"
            OpenAPIV30SpecValidator(description).validate()
            text = str(description)
            assert "'const'" not in text
            assert "'null'" not in text
    for landing in (client.get("/").json(), client.get("/stac/").json()):
        described = next(link for link in landing["links"] if link["rel"] == "service-desc")
        assert described["type"] == "application/vnd.oai.openapi+json;version=3.0"
        assert client.get(described["href"]).json()["openapi"] == "3.0.3"
