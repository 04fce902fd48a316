"""What a submission is: its key, its command line, what it ships, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert second.files == ((second.arguments[2], path),)


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
    assert (tmp_path / "orograph/pipeline/sources/sources.yaml").exists()
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
    assert shipped == path
    assert submission.arguments[1] == f"{before}{name_there}"
