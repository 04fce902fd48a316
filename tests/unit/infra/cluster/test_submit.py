"""What a submission is: its key, its command line, what it ships, and what it refuses."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from orograph.infra.cluster.code_bundle import PACKAGES, copy_packages, package_digest, package_files
from orograph.infra.cluster.submit import submission_of, submit
from orograph.pipeline.errors import UsageError

STORE = ("--store", "s3://bucket/eu")


def test_the_key_is_of_what_is_asked_for() -> None:
    first = submission_of(["run", "--area", "5,45,6,46", *STORE], [], installed=False)
    assert first.key == submission_of(["run", "--area", "5,45,6,46", *STORE], [], installed=False).key
    others = [
        submission_of(["run", "--area", "5,45,6,47", *STORE], [], installed=False),
        submission_of(["run", "--area", "5,45,6,46", *STORE], ["OROGRAPH_WORKERS=3"], installed=False),
        submission_of(["run", "--area", "5,45,6,46", *STORE], [], installed=True),
    ]
    assert len({first.key, *(other.key for other in others)}) == 4
    assert first.entrypoint == "python -P -m orograph run --area 5,45,6,46 --store s3://bucket/eu"


def test_arguments_reach_the_shell_quoted() -> None:
    submission = submission_of(["plan", "--area", "1; rm -rf /", "--set", "a b"], [], installed=True)
    assert submission.entrypoint == "python -P -m orograph plan --area '1; rm -rf /' --set 'a b'"


def test_local_catalogues_are_shipped_by_content(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("a")
    first = submission_of(["plan", "-c", str(path)], [], installed=True)
    path.write_text("b")
    second = submission_of(["plan", "-c", str(path)], [], installed=True)
    assert first.arguments[2].startswith("inputs/")
    assert first.arguments[2].endswith("-mine.yaml")
    assert first.key != second.key
    assert second.files == ((second.arguments[2], b"b"),)


def test_paths_inside_a_shipped_catalogue_stay_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heights.tif").write_bytes(b"II")
    document = {
        "sources": [
            {"id": "a", "data": {"kind": "files", "hrefs": ["tiles/*.tif", "s3://b/x.tif", "/abs/y.tif"]}},
            {"id": "b", "data": {"kind": "cells", "href": "zip://{x}.tif::cells/{x}.zip", "cells": "list.txt"}},
            {"id": "c", "vertical_grid": {"path": "geoid.tif"}},
        ]
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.chdir(tmp_path)
    submission = submission_of(["plan", "-c", "mine.yaml", "--data", "heights.tif"], [], installed=True)
    assert submission.arguments[-1] == str(tmp_path / "heights.tif")
    ((_, content),) = submission.files
    first, second, third = yaml.safe_load(content)["sources"]
    assert first["data"]["hrefs"] == [str(tmp_path / "tiles/*.tif"), "s3://b/x.tif", "/abs/y.tif"]
    assert second["data"]["href"] == f"zip://{{x}}.tif::{tmp_path}/cells/{{x}}.zip"
    assert second["data"]["cells"] == str(tmp_path / "list.txt")
    assert third["vertical_grid"]["path"] == str(tmp_path / "geoid.tif")


def test_the_store_of_the_environment_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OROGRAPH_STORE", "s3://bucket/eu")
    assert submission_of(["run"], [], installed=True).environment == (("OROGRAPH_STORE", "s3://bucket/eu"),)
    chosen = submission_of(["run"], ["OROGRAPH_STORE=s3://other/eu"], installed=True)
    assert chosen.environment == (("OROGRAPH_STORE", "s3://other/eu"),)


class JobServer:
    """Ray's job server as far as submission goes: ids are unique, ended jobs can be deleted."""

    def __init__(self) -> None:
        self.jobs: dict[str, SimpleNamespace] = {}
        self.clock = itertools.count()

    def list_jobs(self) -> list[SimpleNamespace]:
        return list(self.jobs.values())

    def submit_job(self, *, submission_id: str, metadata: dict[str, str], **_options: object) -> None:
        if submission_id in self.jobs:
            raise RuntimeError(f"Job with submission_id {submission_id} already exists.")
        self.jobs[submission_id] = SimpleNamespace(
            submission_id=submission_id,
            metadata=metadata,
            message="",
            start_time=next(self.clock),
            status=SimpleNamespace(value="RUNNING"),
        )

    def delete_job(self, name: str) -> None:
        del self.jobs[name]


def test_the_same_command_is_submitted_every_night(monkeypatch: pytest.MonkeyPatch) -> None:
    server = JobServer()
    monkeypatch.setattr("orograph.infra.cluster.submit.client_of", lambda _address: server)
    nightly = submission_of(["run", *STORE], [], installed=True)
    names = []
    for night in range(250):
        _, name = submit(None, nightly, lambda _text: None)
        names.append(name)
        assert submit(None, nightly, lambda _text: None)[1] == name, "joined while it runs"
        server.jobs[name].status.value = "SUCCEEDED" if night % 3 else "FAILED"
    assert len(set(names)) == 250
    assert names[-1] == f"{nightly.key}-250"
    assert len(server.jobs) <= 20


def test_a_head_that_has_just_started_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    server = JobServer()
    monkeypatch.setattr("orograph.infra.cluster.submit.client_of", lambda _address: server)
    monkeypatch.setattr("orograph.infra.cluster.submit._POLL_S", 0.0)
    no_agent = RuntimeError("status code 500: No available agent to submit job, please try again later.")
    answers = iter([ConnectionError("Remote end closed connection without response"), no_agent])
    submit_job = server.submit_job

    def starting(**options: Any) -> None:
        for error in answers:
            raise error
        submit_job(**options)

    monkeypatch.setattr(server, "submit_job", starting)
    nightly = submission_of(["run", *STORE], [], installed=True)
    assert submit(None, nightly, lambda _text: None)[1] == nightly.key
    assert len(server.jobs) == 1


def test_two_submitters_at_once_meet_in_one_job(monkeypatch: pytest.MonkeyPatch) -> None:
    server = JobServer()
    monkeypatch.setattr("orograph.infra.cluster.submit.client_of", lambda _address: server)
    nightly = submission_of(["run", *STORE], [], installed=True)
    list_jobs = server.list_jobs
    server.submit_job(submission_id=nightly.key, metadata={"orograph": nightly.key})
    # The other job is not listed yet when this submitter looks for the first time.
    answers = iter([[SimpleNamespace(submission_id=None)]])
    monkeypatch.setattr(server, "list_jobs", lambda: next(answers, None) or list_jobs())
    assert submit(None, nightly, lambda _text: None)[1] == nightly.key
    assert len(server.jobs) == 1


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "RAY_AUTH_TOKEN", "DB_PASSWORD", "AWS_ACCESS_KEY_ID"])
def test_secrets_are_not_submitted(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        submit("http://127.0.0.1:9", submission_of(["doctor"], [f"{name}=x"], installed=True), print)


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "--store", "out"], ["run", "--store=out"], ["export", "-o", "x"]]
)
def test_a_store_no_node_shares_is_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="no other node sees"):
        submission_of(arguments, [], installed=True)
    for good in (["run", "--store=s3://b/p"], ["run", "-o", "/shared/disk"], ["plan"]):
        submission_of(good, [], installed=True)
    submission_of(["run"], ["OROGRAPH_STORE=s3://b/p"], installed=True)


@pytest.mark.parametrize(("arguments", "environment"), [([], []), (["doctor"], ["NOVALUE"]), (["doctor"], ["=x"])])
def test_nonsense_is_refused(arguments: list[str], environment: list[str]) -> None:
    with pytest.raises(UsageError):
        submission_of(arguments, environment, installed=True)


def test_only_the_packages_are_shipped(tmp_path: Path) -> None:
    size = copy_packages(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["orograph"]
    assert {path.name for path in (tmp_path / "orograph").iterdir() if path.is_dir()} == set(PACKAGES)
    assert (tmp_path / "orograph/pipeline/sources/bundled/world.yaml").exists()
    assert not [path for path in tmp_path.rglob("*") if path.name in {"__pycache__", ".git"} or path.suffix == ".pyc"]
    assert size < 60 * 2**20
    assert package_digest() == package_digest()
    assert sum(1 for _ in package_files()) == sum(1 for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("before", ["--aoi=", "adjustments=", "--set=adjustments="])
def test_files_behind_an_equals_sign_are_shipped_too(tmp_path: Path, before: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text("{}")
    submission = submission_of(["plan", f"{before}{path}"], [], installed=True)
    ((name_there, shipped),) = submission.files
    assert shipped == path.read_bytes()
    assert submission.arguments[1] == f"{before}{name_there}"
