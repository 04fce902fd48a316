"""Quick starts of `deploy/README.md`, executed without a container engine: the page's commands, in the files' containers.

Three things are replaced: the S3 server is radosgw under the name and port of the compose file's, the data of `glo-30` is a
made source, and geoid grids are there already, as no network is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import skip_or_fail
from tests.support.container import Container, missing, running_container, wait_for
from tests.support.made import source, write_source
from tests.support.manifests import DEPLOY, ROOT, documents
from tests.support.rgw import S3Server
from tests.unit.deploy.test_commands import blocks

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.s3, pytest.mark.timeout(900)]

README = list(blocks(DEPLOY / "README.md"))
# The nine tiles of the page's area, made coarse.
AREA = "9.5,46.9,10.5,47.5"
BOUNDS_M = (4_240_000.0, 2_590_000.0, 4_410_000.0, 2_760_000.0)
COARSE = ["-c", "/data/catalogue.yaml", "--pixel-size", "500"]


def page_command(*parts: str) -> list[str]:
    """The only command of the page that contains all parts, without its comment."""
    (line,) = [line for line in README if all(part in line for part in parts)]
    return shlex.split(line, comments=True)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source named `glo-30`."""
    folder = tmp_path_factory.mktemp("data")
    write_source(folder / "heights.tif", "EPSG:3035", BOUNDS_M, 500.0)
    made = source(Path("/data/heights.tif"), id="glo-30", resolution_m=500.0)
    listed = {"sources": [json.loads(made.model_dump_json(exclude_none=True))]}
    (folder / "catalogue.yaml").write_text(yaml.safe_dump(listed))
    folder.chmod(0o755)
    return folder


def owned(folder: Path) -> Path:
    """A new folder of user 1000, as a volume is."""
    folder.mkdir(parents=True)
    os.chown(folder, 1000, 1000)
    return folder


@contextlib.contextmanager
def s3_at_port_9000(container: Container, server: S3Server, shared_folder: Path) -> Iterator[None]:
    """The S3 server as `s3:9000` of the container, through a socket in a mounted folder."""
    words = [sys.executable, str(ROOT / "tests/support/forward.py")]
    port = server.endpoint_url.rsplit(":", 1)[1]
    outer = subprocess.Popen([*words, str(shared_folder / "s3"), port])
    inner = subprocess.Popen(container.words([*words, "9000", "/wire/s3"], {}, user=()))
    try:
        yield
    finally:
        outer.kill()
        inner.kill()


class Compose:
    """The compose file's services, each in a container of its own, with their secrets and volumes.

    Args:
        folder: Copy of the compose file's folder, after `secrets.sh`.
        mounts: Of every container: secrets, volumes, data.
        server: The S3 server, `s3:9000` in every container.
        stack: Ends what is started.
    """

    def __init__(self, folder: Path, mounts: dict[str, Path], server: S3Server, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.services = documents(folder / "compose.yaml")[0]["services"]
        self.mounts = mounts
        self._server = server
        self._stack = stack

    def container(self, service: str, **environment: str) -> Container:
        """A new container with a service's variables."""
        folder = self.folder.parent / f"container-{service}"
        wire, scratch = owned(folder / "wire"), owned(folder / "scratch")
        mounts = {**self.mounts, "/wire": wire, "/scratch": scratch}
        read_only = [path for path in self.mounts if path != "/grids"]
        made = self._stack.enter_context(running_container(folder, mounts, ["s3"], read_only))
        self._stack.enter_context(s3_at_port_9000(made, self._server, wire))
        variables = {**made.environment, **self.services[service]["environment"], **environment}
        return replace(made, environment=variables)


@pytest.fixture(scope="module")
def compose(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server, shared: Callable[[str], Path], data: Path
) -> Iterator[Compose]:
    if lacking := missing():
        skip_or_fail("containers", lacking)
    folder = tmp_path_factory.mktemp("compose") / "compose"
    shutil.copytree(DEPLOY / "compose", folder)
    (make_secrets,) = [line for line in README if "secrets.sh" in line]
    subprocess.run(shlex.split(make_secrets, comments=True), check=True, cwd=folder, capture_output=True)
    # The S3 server's own user, in the form secrets.sh writes.
    credentials = folder / "secrets/s3_credentials"
    values = {"aws_access_key_id": s3_server.access_key, "aws_secret_access_key": s3_server.secret_key}
    lines = credentials.read_text().splitlines()
    assert {line.split(" = ")[0] for line in lines if " = " in line} == set(values)
    credentials.write_text("\n".join(["[default]", *(f"{name} = {value}" for name, value in values.items())]))
    grids = owned(folder.parent / "grids")
    for grid in shared("proj-grids").iterdir():
        shutil.copy(grid, grids)
    secrets = documents(folder / "compose.yaml")[0]["secrets"]
    mounts = {f"/run/secrets/{name}": folder / made["file"] for name, made in secrets.items()}
    with contextlib.ExitStack() as stack:
        yield Compose(
            folder, {**mounts, "/grids": grids, "/keys": folder / "secrets/keys", "/data": data}, s3_server, stack
        )


@pytest.mark.rehearsal
def test_compose_and_kubernetes_runs(compose: Compose, tmp_path: Path) -> None:
    services = compose.services
    # Ray's workers step back (nice 15) behind everything else, and beside other tests they would hardly move.
    head = compose.container("head", RAY_worker_niceness="0")
    for name in ("bucket", "grids"):
        said = head.run(services[name]["command"])
    assert "0 fetched" in said
    process = kept_running(head, services["head"], tmp_path / "head.log")

    run = head.run([*page_command("docker compose exec head orograph submit")[4:], *COARSE], 400)
    assert "9 tiles in s3://orograph/eu, 0 failed" in run, run
    assert "9 of 9" in head.run(page_command("exec head orograph status")[4:])

    # A RayJob's driver on the same cluster, with the variables of its pods: it resumes.
    (rayjob,) = [made for made in documents(DEPLOY / "kubernetes/rayjob.yaml") if made["kind"] == "RayJob"]
    (settings,) = [made["data"] for made in documents(DEPLOY / "kubernetes/base.yaml") if made["kind"] == "ConfigMap"]
    settings |= yaml.safe_load(rayjob["spec"]["runtimeEnvYAML"])["env_vars"]
    entrypoint = shlex.split(rayjob["spec"]["entrypoint"])
    resumed = head.run([*entrypoint, *COARSE, "--area", AREA], 300, RAY_ADDRESS="auto", **settings)
    assert '"good": 9' in resumed, resumed
    process.terminate()


def kept_running(container: Container, service: dict[str, Any], log: Path) -> subprocess.Popen[Any]:
    """Start a service, again where it ends (`restart: unless-stopped`), until it is healthy."""
    assert service["restart"] == "unless-stopped"
    for _ in range(4):
        process = container.start(service["command"], log)
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):
                container.run(service["healthcheck"]["test"][1:])
                return process
            time.sleep(1.0)
    raise AssertionError(log.read_text()[-3000:])


def test_the_service_and_its_keys(compose: Compose, tmp_path: Path) -> None:
    service, folder = compose.container("service"), compose.folder
    wait_for(service, [sys.executable, "-c", "import socket; socket.create_connection(('s3', 9000), 2)"])
    service.run(compose.services["bucket"]["command"])
    process = kept_running(service, compose.services["service"], tmp_path / "service.log")
    assert json.loads(request(service, "/readyz"))["store"] == "writable"
    assert json.loads(request(service, "/stac/search"))["type"] == "FeatureCollection"
    assert "orograph_http_requests_total" in request(service, "/metrics")
    assert order(service, "") == "401"
    create = page_command("keys create", "secrets/keys")
    old, new = (made_key(create, folder) for _ in range(2))
    listed = [sys.executable, "-m", *page_command("keys list"), "--json"]
    known = json.loads(subprocess.run(listed, check=True, cwd=folder, capture_output=True).stdout)
    assert [order(service, key) for key in (old, new)] == ["422", "422"]
    revoke = ["orograph", "keys", "revoke", known[0]["id"], *create[-2:]]
    subprocess.run([sys.executable, "-m", *revoke], check=True, cwd=folder)
    time.sleep(1.2)
    assert [order(service, key) for key in (old, new)] == ["401", "422"]
    process.terminate()


def made_key(create: list[str], folder: Path) -> str:
    made = subprocess.run([sys.executable, "-m", *create], check=True, cwd=folder, capture_output=True, text=True)
    return made.stdout.strip()


REQUEST = """
import sys, urllib.request, urllib.error
path, key, body = sys.argv[1:4]
headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}
request = urllib.request.Request("http://127.0.0.1:8080" + path, body.encode() or None, headers)
try:
    answer = urllib.request.urlopen(request, timeout=60)
    print(answer.status if body else answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""


def request(container: Container, path: str, key: str = "", body: str = "") -> str:
    """The answer, or the status of an order."""
    return container.run([sys.executable, "-c", REQUEST, path, key, body]).strip()


def order(container: Container, key: str) -> str:
    """Status of an order for a tile that is none: 422 for who may order, 401 for others."""
    return request(container, "/processes/reprocess-tile/execution", key, json.dumps({"inputs": {"tile": "E1N1"}}))
