"""Every rejection is an RFC 9457 problem without paths, traces or secrets."""

import orjson
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from orograph.infra.service.problem_documents import PROBLEM_TYPE, Problem, busy, from_error, install
from orograph.pipeline import errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.ConfigError("x"), 422),
        (errors.SourceMissing("x"), 424),
        (errors.StoreUnavailable("x"), 503),
        (errors.MemoryBudgetExceeded("x"), 422),
        (errors.ResultDiffers("x"), 500),
    ],
)
def test_errors_of_the_tree_have_a_status(error, status):
    assert from_error(error).status == status


def test_a_problem_names_its_kind_and_hides_secrets():
    error = errors.ConfigError("bad password=hunter2", tile="E1", remedy="ask")
    document = orjson.loads(from_error(error).response("/x").body)
    assert document["title"] == "Config error"
    assert document["type"] == "urn:orograph:problem:ConfigError"
    assert (document["tile"], document["remedy"], document["instance"]) == ("E1", "ask", "/x")
    assert "hunter2" not in document["detail"]
    assert "remedy" not in from_error(errors.ResultDiffers("x", remedy="delete /private")).members


def test_busy_says_when_to_come_back():
    assert busy("later", 0).headers["Retry-After"] == "1"
    assert busy("later", 7, 429).title == "Too Many Requests"


def test_the_application_answers_with_problems():
    app = FastAPI()
    install(app)

    @app.get("/{kind}")
    def fail(kind: str, number: int = 0) -> None:
        raise {"problem": Problem(409, "Taken"), "known": errors.StoreUnavailable("away")}.get(
            kind, ValueError("/secret/path")
        )

    client = TestClient(app, raise_server_exceptions=False)
    answers = {kind: client.get(f"/{kind}") for kind in ("problem", "known", "unknown")}
    assert [answer.status_code for answer in answers.values()] == [409, 503, 500]
    assert answers["known"].headers["retry-after"] == "10"
    assert "/secret/path" not in answers["unknown"].text
    assert client.get("/problem?number=x").json()["errors"][0]["where"] == "query/number"
    assert {answer.headers["content-type"] for answer in answers.values()} == {PROBLEM_TYPE}
