"""Abstract tests of OGC API - Processes, part 1 (18-062r2, annex A), one per requirement that the service claims.

The names are the standard's. The official suite is a Java program that needs a running service; these are its cases.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft7Validator

from orograph.infra.service.app import create_app
from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline.errors import SourceUnavailable
from tests.support.service_world import EAST, NOWHERE, UNPUBLISHED, WEST, Engine, World

PROCESS = "/processes/reprocess-tile"
EXECUTION = f"{PROCESS}/execution"
OGC = "http://www.opengis.net/def"
ASYNC = {"prefer": "respond-async"}
STATUS_INFO = {
    "required": ["jobID", "status", "type"],
    "properties": {
        "jobID": {"type": "string"},
        "type": {"enum": ["process"]},
        "status": {"enum": ["accepted", "running", "successful", "failed", "dismissed"]},
        "progress": {"type": "integer", "minimum": 0, "maximum": 100},
        "links": {"type": "array", "items": {"required": ["href"]}},
    },
}
PROCESS_SUMMARY = {
    "required": ["id", "version", "jobControlOptions", "outputTransmission", "links"],
    "properties": {
        "jobControlOptions": {"items": {"enum": ["sync-execute", "async-execute", "dismiss"]}},
        "outputTransmission": {"items": {"enum": ["value", "reference"]}},
    },
}
EXCEPTION = {"required": ["type", "title", "status"], "properties": {"type": {"type": "string"}}}


@dataclass
class Service:
    """A service whose jobs wait until they are let through."""

    client: TestClient
    engine: Engine
    jobs: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, expected: int = 200, **query: Any) -> Any:
        answer = self.client.get(path, params=query or None)
        assert answer.status_code == expected, answer.text[:300]
        return answer.json()

    def execute(self, tile: str, headers: dict[str, str] | None = None, **members: Any) -> Any:
        return self.client.post(EXECUTION, json={"inputs": {"tile": tile}, **members}, headers=headers)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    world = World(tmp_path_factory.mktemp("world"), pixel_m=500.0)
    world.publish(WEST)
    engine = Engine(open_=False)
    settings = ServiceSettings(allowed_hosts=("*",), orders_per_minute=10_000, sync_wait_s=20.0)
    with TestClient(create_app(settings, world.parts(engine)), base_url="http://x.example") as client:
        made = Service(client, engine)
        made.jobs["waiting"] = made.execute(UNPUBLISHED.id, ASYNC).json()["jobID"]
        made.jobs["done"] = made.execute(WEST.id, ASYNC).json()["jobID"]
        yield made
        engine.gate.set()


def valid(document: Any, schema: dict[str, Any]) -> None:
    assert [error.message for error in Draft7Validator(schema).iter_errors(document)] == []


def rels(document: Any) -> set[str]:
    return {link["rel"] for link in document["links"]}


def landing_page(service: Service) -> None:
    found = rels(service.get("/", f="json"))
    assert {"service-desc", f"{OGC}/rel/ogc/1.0/conformance", f"{OGC}/rel/ogc/1.0/processes"} <= found
    assert f"{OGC}/rel/ogc/1.0/job-list" in found


def api_definition(service: Service) -> None:
    (described,) = [link for link in service.get("/", f="json")["links"] if link["rel"] == "service-desc"]
    assert service.get(described["href"])["openapi"].startswith("3.0")


def conformance(service: Service) -> None:
    claimed = set(service.get("/conformance")["conformsTo"])
    base = "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf"
    assert {
        f"{base}/{name}" for name in ("core", "ogc-process-description", "json", "oas30", "job-list", "dismiss")
    } == claimed


def process_list(service: Service) -> None:
    document = service.get("/processes")
    assert "self" in rels(document)
    for summary in document["processes"]:
        valid(summary, PROCESS_SUMMARY)
    assert len(service.get("/processes", limit=1)["processes"]) == 1
    assert service.client.get("/processes?limit=0").status_code == 400


def process_description(service: Service) -> None:
    document = service.get(PROCESS)
    valid(document, PROCESS_SUMMARY)
    for description in (*document["inputs"].values(), *document["outputs"].values()):
        assert description["title"]
        Draft7Validator.check_schema(description["schema"])


def no_such_process(service: Service) -> None:
    document = service.get("/processes/nope", 404)
    valid(document, EXCEPTION)
    assert document["type"] == f"{OGC}/exceptions/ogcapi-processes-1/1.0/no-such-process"
    assert service.client.post("/processes/nope/execution", json={"inputs": {}}).status_code == 404


def execute_async(service: Service) -> None:
    answer = service.execute(EAST.id, ASYNC)
    assert answer.status_code == 201
    valid(answer.json(), STATUS_INFO)
    valid(service.client.get(answer.headers["location"]).json(), STATUS_INFO)
    assert answer.headers["preference-applied"] == "respond-async"
    service.client.delete(answer.headers["location"])


def execute_sync_document(service: Service) -> None:
    answer = service.execute(WEST.id, response="document")
    assert answer.status_code == 200
    assert set(answer.json()) == {"item", "manifest"}


def execute_sync_raw_reference(service: Service) -> None:
    answer = service.execute(WEST.id, response="raw")
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.links) == {"item", "manifest"}


def execute_subset_of_outputs(service: Service) -> None:
    assert set(service.execute(WEST.id, outputs={"item": {}}).json()) == {"item"}


def inline_and_qualified_inputs(service: Service) -> None:
    for value in (WEST.id, {"value": WEST.id}):
        assert service.client.post(EXECUTION, json={"inputs": {"tile": value}}).status_code == 200


def inputs_are_validated(service: Service) -> None:
    for inputs in ({}, {"tile": 7}, {"tile": "nowhere"}, {"tile": WEST.id, "unknown": 1}, {"tile": NOWHERE.id}):
        answer = service.client.post(EXECUTION, json={"inputs": inputs})
        assert 400 <= answer.status_code < 500
        valid(answer.json(), EXCEPTION)


def job_status(service: Service) -> None:
    document = service.get(f"/jobs/{service.jobs['done']}")
    valid(document, STATUS_INFO)
    assert document["status"] == "successful"
    assert f"{OGC}/rel/ogc/1.0/results" in rels(document)


def no_such_job(service: Service) -> None:
    for path in (f"/jobs/{'0' * 32}", f"/jobs/{'0' * 32}/results"):
        document = service.get(path, 404)
        valid(document, EXCEPTION)
        assert document["type"] == f"{OGC}/exceptions/ogcapi-processes-1/1.0/no-such-job"
    assert service.client.delete(f"/jobs/{'0' * 32}").status_code == 404


def results(service: Service) -> None:
    assert set(service.get(f"/jobs/{service.jobs['done']}/results")) == {"item", "manifest"}


def results_not_ready(service: Service) -> None:
    document = service.get(f"/jobs/{service.jobs['waiting']}/results", 404)
    valid(document, EXCEPTION)
    assert document["type"] == f"{OGC}/exceptions/ogcapi-processes-1/1.0/result-not-ready"


def job_list(service: Service) -> None:
    document = service.get("/jobs")
    assert "self" in rels(document)
    for job in document["jobs"]:
        valid(job, STATUS_INFO)


def job_list_parameters(service: Service) -> None:
    description = service.get("/openapi.json")
    offered = {parameter["name"] for parameter in description["paths"]["/jobs"]["get"]["parameters"]}
    assert {"type", "processID", "status", "datetime", "minDuration", "maxDuration", "limit"} <= offered

    def listed(**query: Any) -> set[str]:
        return {job["jobID"] for job in service.get("/jobs", **query)["jobs"]}

    done, waiting = service.jobs["done"], service.jobs["waiting"]
    assert {done, waiting} <= listed(type="process")
    assert listed(processID="nope") == set()
    assert done in listed(status="successful")
    assert waiting not in listed(status="successful")
    assert {done, waiting} <= listed(datetime="2020-01-01T00:00:00Z/..")
    assert listed(datetime="../2020-01-01T00:00:00Z") == set()
    assert listed(minDuration=86_400) == set()
    assert done in listed(maxDuration=86_400)


def job_list_limit_and_next(service: Service) -> None:
    page = service.get("/jobs", limit=1)
    assert len(page["jobs"]) == 1
    (following,) = [link["href"] for link in page["links"] if link["rel"] == "next"]
    assert service.get(following)["jobs"][0]["jobID"] != page["jobs"][0]["jobID"]


def dismiss(service: Service) -> None:
    answer = service.client.delete(f"/jobs/{service.jobs['waiting']}")
    assert answer.status_code == 200
    valid(answer.json(), STATUS_INFO)
    assert answer.json()["status"] == "dismissed"


def links_of_processes(service: Service) -> None:
    (summary,) = service.get("/processes")["processes"]
    (own,) = [link["href"] for link in summary["links"] if link["rel"] == "self"]
    described = service.get(own)
    assert described["id"] == summary["id"]
    (execute,) = [link["href"] for link in described["links"] if link["rel"] == f"{OGC}/rel/ogc/1.0/execute"]
    assert service.client.post(execute, json={"inputs": {"tile": WEST.id}}).status_code == 200


def execution_modes(service: Service) -> None:
    """A process that supports both modes answers synchronously unless the client prefers otherwise."""
    assert {"sync-execute", "async-execute"} <= set(service.get(PROCESS)["jobControlOptions"])
    assert set(service.execute(WEST.id).json()) == {"item", "manifest"}
    answer = service.execute(WEST.id, {"prefer": "wait=5"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "wait=5")


def arrays_and_objects(service: Service) -> None:
    listed = {
        "tile": WEST.id,
        "sources": [{"value": "fine-dtm"}, "glo-30"],
        "settings": {"value": {"max_shift_m": 40.0}},
    }
    for inputs in (listed, {**listed, "sources": {"value": ["fine-dtm", "glo-30"]}, "settings": {"max_shift_m": 40.0}}):
        answer = service.client.post(EXECUTION, json={"inputs": inputs}, headers=ASYNC)
        assert answer.status_code in {200, 201}, answer.text
        service.client.delete(answer.headers["location"])
    answer = service.client.post(EXECUTION, json={"inputs": {**listed, "sources": [7]}})
    assert 400 <= answer.status_code < 500
    valid(answer.json(), EXCEPTION)


def inputs_by_reference(service: Service) -> None:
    """The service fetches nothing a request names: it says so instead of trying."""
    answer = service.client.post(EXECUTION, json={"inputs": {"tile": {"href": "http://127.0.0.1/tile"}}})
    assert 400 <= answer.status_code < 500
    valid(answer.json(), EXCEPTION)
    assert "by reference is not fetched" in answer.text


def results_of_a_failed_job(service: Service) -> None:
    service.engine.error = SourceUnavailable("the bucket is gone")
    service.engine.gate.set()
    try:
        answer = service.execute(EAST.id, ASYNC, outputs={"item": {}})
        job = answer.headers["location"]
        deadline = time.monotonic() + 60
        while service.get(job)["status"] not in {"failed", "successful"} and time.monotonic() < deadline:
            time.sleep(0.05)
        assert service.get(job)["status"] == "failed"
        answer = service.client.get(f"{job}/results")
    finally:
        service.engine.error = None
        service.engine.gate.clear()
    assert answer.status_code >= 400
    valid(answer.json(), EXCEPTION)


def http_head_and_cors(service: Service) -> None:
    assert service.client.head("/processes").status_code == 200
    assert service.client.get("/processes", headers={"origin": "https://other.example"}).headers[
        "access-control-allow-origin"
    ]


CASES: dict[str, Callable[[Service], None]] = {
    "core/landingpage-success": landing_page,
    "core/api-definition-success, oas30/oas-definition-1": api_definition,
    "core/conformance-success": conformance,
    "core/http": http_head_and_cors,
    "core/process-list-success, pl-limit-definition": process_list,
    "core/process-success, ogc-process-description/inputs-def": process_description,
    "core/process-exception-no-such-process": no_such_process,
    "core/process-execute-success-async, job-creation-success-async": execute_async,
    "core/process-execute-sync-document, json": execute_sync_document,
    "core/process-execute-sync-raw-reference": execute_sync_raw_reference,
    "core/process-execute-default-outputs": execute_subset_of_outputs,
    "core/process-execute-inputs, input-inline": inline_and_qualified_inputs,
    "core/process-execute-input-validation": inputs_are_validated,
    "core/pl-links, process-summary-links": links_of_processes,
    "core/job-creation-default-execution-mode, auto-execution-mode": execution_modes,
    "core/job-creation-input-array, inline-object": arrays_and_objects,
    "core/job-creation-input-ref": inputs_by_reference,
    "core/job-success": job_status,
    "core/job-exception-no-such-job": no_such_job,
    "core/job-results-success": results,
    "core/job-results-exception-results-not-ready": results_not_ready,
    "job-list/job-list-success": job_list,
    "job-list/type, processID, status, datetime, duration": job_list_parameters,
    "job-list/limit-response, links": job_list_limit_and_next,
    "dismiss/job-dismiss-success": dismiss,
    "core/job-results-failed": results_of_a_failed_job,
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_abstract_test(service: Service, case: Callable[[Service], None]) -> None:
    case(service)
