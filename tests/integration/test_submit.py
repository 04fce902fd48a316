"""Job submission to a real Ray head that wants a token: the commands of the tutorial on clusters, and Ray's own command."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from orograph.infra.cluster.code_bundle import copy_packages
from tests.support.made import source, write_catalogue, write_source
from tests.support.ray_head import RayHead, running_head

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = ("--pixel-size", "100", "--engine", "ray", "--workers", "2", "--set", "superres=none")


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with running_head() as running:
        yield running


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of one made source that touches two tiles."""
    folder = tmp_path_factory.mktemp("world")
    path = write_source(folder / "fine.tif", "EPSG:25832", (495_000.0, 5_560_000.0, 505_000.0, 5_570_000.0), 50)
    made = source(path, id="fine", horizontal_crs="EPSG:25832", vertical_frame="EPSG:7837", resolution_m=50.0)
    listed = folder / "catalogue.yaml"
    write_catalogue(listed, made)
    return listed


def orograph(head: RayHead, *arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run a command with access to the head; a variable that is None is left out."""
    mine = {**head.environment(PYTHONPATH=str(ROOT)), **environment}
    return subprocess.run(
        [sys.executable, "-m", "orograph", *arguments],
        check=False,
        env={name: value for name, value in mine.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=600,
    )


def of_page(command: str, **values: str) -> list[str]:
    """Arguments of a command of the tutorial, with values of options replaced by those of the test."""
    page = (ROOT / "docs/tutorials/on-a-cluster.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(r"^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)).replace("\\\n", " ").splitlines()
    (line,) = (line for line in lines if line.startswith(f"orograph {command}"))
    words = shlex.split(line)[1:]
    for name, value in values.items():
        words[words.index(f"--{name}") + 1] = value
    return words


def test_doctor_names_the_head_and_then_its_resources(head: RayHead) -> None:
    port = head.address.rpartition(":")[2]
    found = orograph(head, *of_page("doctor"), RAY_ADDRESS=None)
    assert (found.returncode, f":{port}" in found.stdout) == (0, True), found.stdout + found.stderr
    assert "export RAY_ADDRESS=" in found.stdout
    found = orograph(head, *of_page("doctor"), RAY_ADDRESS=head.address)
    assert "1 node, CPU 2, GPU 0" in found.stdout, found.stdout + found.stderr


def tile_files(store: Path) -> dict[str, bytes]:
    return {str(p.relative_to(store)): p.read_bytes() for p in (store / "tiles").rglob("*.*") if p.suffix != ".json"}


def test_submitting_runs_follows_and_resumes(head: RayHead, catalogue: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    arguments = of_page("submit", address=head.dashboard, store=str(store))
    place = arguments.index("--source")
    assert arguments[place : place + 4 : 2] == ["--source", "--area"]
    arguments[place : place + 4] = ["-c", str(catalogue), *ARGUMENTS]
    first = orograph(head, *arguments, RAY_ADDRESS=None)
    assert first.returncode == 0, first.stderr
    assert "2 tiles in" in first.stdout
    assert '"message": "done"' in first.stdout
    files = {path: path.read_bytes() for path in (store / "tiles").rglob("*") if path.is_file()}
    assert len(files) == 2 * 7
    again = orograph(head, *arguments)
    assert again.returncode == 0, again.stderr
    assert "-2: python -P -m" in again.stderr
    assert again.stdout.count("is up to date") == 2
    assert files == {path: path.read_bytes() for path in (store / "tiles").rglob("*") if path.is_file()}
    shown = orograph(head, "status", "--store", str(store), "--json")
    assert json.loads(shown.stdout)["tiles"]["up-to-date"] == 2
    followed = orograph(head, *of_page("status", store=str(store)))
    assert (followed.returncode, "2 of 2: 0 made, 2 up to date" in followed.stdout) == (0, True), (
        followed.stdout + followed.stderr
    )

    # Ray's own command, with the same packages as its working directory; there the local engine gives the same bytes.
    folder = tmp_path / "package"
    copy_packages(folder)
    command = [Path(sys.executable).with_name("ray"), "job", "submit", "--working-dir", folder, "--"]
    command += ["python", "-m", "orograph", "run", "-c", catalogue, *ARGUMENTS, "--store", tmp_path / "plain"]
    command += ["--engine", "local"]
    plain = subprocess.run(
        command, check=False, env=head.environment(), capture_output=True, text=True, timeout=600, cwd=tmp_path
    )
    assert plain.returncode == 0, plain.stdout + plain.stderr
    wanted = {str(path.relative_to(store)): data for path, data in files.items() if path.suffix != ".json"}
    assert wanted == tile_files(tmp_path / "plain")


def test_the_exit_code_is_passed_on(head: RayHead) -> None:
    ended = orograph(head, "submit", "--", "plan", "--tile", "E9999N1")
    assert ended.returncode == 2, ended.stderr
    assert "BadIdentifier" in ended.stdout


@pytest.mark.parametrize(("token", "words"), [("", "Missing authentication token"), ("bad", "Invalid")])
def test_the_cluster_wants_its_token(head: RayHead, token: str, words: str) -> None:
    ended = orograph(
        head, "submit", "--", "doctor", RAY_AUTH_MODE="token" if token else "disabled", RAY_AUTH_TOKEN=token
    )
    assert ended.returncode == 1
    assert "ClusterAccessDenied" in ended.stderr
    assert words in ended.stderr


def test_the_address_on_the_command_line_wins_over_the_variable(head: RayHead) -> None:
    ended = orograph(head, "submit", "--address", "http://127.0.0.1:9", "--", "doctor")
    assert ended.returncode == 1
    assert "no Ray cluster answers at http://127.0.0.1:9" in ended.stderr


def test_numbers_reach_prometheus(head: RayHead) -> None:
    code = (
        "from orograph.infra.engines.ray import RayEngine, RayOptions\n"
        "from orograph.infra.reporting.run_record import Journal\n"
        "from orograph.infra.runs.supervise import Supervised\n"
        "from orograph.infra.reporting.telemetry import RayMetrics\n"
        "from tests.support import runners\n"
        "from tests.support.catalogue_world import MemoryStore\n"
        "from tests.support.worlds import make_job\n"
        "from orograph.infra.engines.ray import connect\n"
        "connect('auto')\n"
        "engine = RayEngine(RayOptions(workers=2))\n"
        "supervised = Supervised(engine, Journal(MemoryStore(), 'r', 'ray'), RayMetrics('r'))\n"
        "jobs = [make_job(n, href='do:nap:2.5') for n in range(16)]\n"
        "print(len(list(supervised.run(jobs, runners.told, lambda _: None))))\n"
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", code],
        env=head.environment(PYTHONPATH=str(ROOT), RAY_ADDRESS=head.address),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seen = ""
    deadline = time.monotonic() + 180
    while (
        time.monotonic() < deadline
        and not ("orograph_tiles_running{" in seen and "ray_orograph_tiles_total" in seen)
        and driver.poll() is None
    ):
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{head.metrics_port}/metrics", timeout=5) as answer,
        ):
            seen = answer.read().decode()
        time.sleep(0.5)
    driver.kill()
    output = driver.communicate()[0]
    assert "ray_orograph_tiles_total" in seen, output
    assert 'status="done"' in seen
    assert "ray_orograph_tiles_running" in seen
