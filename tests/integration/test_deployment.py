"""Quick starts of `deploy/README.md`, executed without a container engine: the page's blocks, in the files' containers."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
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
from tests.support.container import Container, image_environment, missing, wait_for
from tests.support.manifests import DEPLOY
from tests.support.quick_starts import (
    Deployment,
    docker_stand_in,
    kubectl_stand_in,
    manifest,
    orograph_stand_in,
    page_block,
    ray_stand_in,
    stand_ins,
)
from tests.support.rgw import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.s3, pytest.mark.timeout(900)]

COARSE = "-c /data/catalogue.yaml --pixel-size 500"
# Ray's workers step back (nice 15) behind everything else, and next to other tests they would hardly move.
BRISK = {"RAY_worker_niceness": "0"}
CLIENT_PATH = "/stand-ins:/usr/local/orograph/bin:/usr/bin:/bin"


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server, shared: Callable[[str], Path]
) -> Iterator[Deployment]:
    if lacking := missing():
        skip_or_fail("containers", lacking)
    with contextlib.ExitStack() as stack:
        yield Deployment(tmp_path_factory.mktemp("deployment"), shared("proj-grids"), s3_server, stack)


def test_quick_starts_run(deployment: Deployment, tmp_path: Path) -> None:
    """All quick starts on one store: four on the compose file's head, and `ray up` with a head of its own."""
    services = deployment.services
    head = deployment.service("head", **BRISK)
    for name in ("bucket", "grids"):
        said = head.run(services[name]["command"])
    assert "0 fetched" in said
    kept_running(head, services["head"], tmp_path / "head.log")
    laptop = stand_ins(tmp_path / "laptop", docker=docker_stand_in(head, COARSE))
    said = script(page_block("docker compose up"), deployment.folder.parents[1], laptop)
    assert "1 tile in s3://orograph/eu, 0 failed" in said, said
    assert "1 of 1" in said, said

    run_job(replace(head, environment={**deployment.pod_environment(), **BRISK}), deployment.token)
    submit_to_standing_cluster(deployment, head)
    serve(head, deployment)
    ray_up(deployment, head)


def script(block: str, folder: Path, programs: Path) -> str:
    """Run a block of the page as its reader does, in a folder that contains `deploy`; its output."""
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)}
    words = ["bash", "-euc", block]
    ended = subprocess.run(words, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=400)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def run_job(pod: Container, token: str) -> None:
    """A RayJob's init container and entry point, with the variables of its pods; its run resumes the one before."""
    spec = manifest("rayjob.yaml", "RayJob")["spec"]
    (grids,) = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["initContainers"]
    assert grids["command"] == ["orograph", "grids", "fetch"], "executed for compose already"
    settings = yaml.safe_load(spec["runtimeEnvYAML"])["env_vars"]
    words = shlex.split(f"{spec['entrypoint']} {COARSE}")
    resumed = pod.run(words, 300, RAY_ADDRESS="auto", RAY_AUTH_TOKEN=token, **settings)
    assert '"good": 1' in resumed, resumed


def submit_to_standing_cluster(deployment: Deployment, head: Container) -> None:
    """The page's block in a clean environment; the job plans the run that is done."""
    orograph = orograph_stand_in(f"{COARSE} --dry-run")
    stand_ins(deployment.stand_ins, kubectl=kubectl_stand_in(deployment.token), orograph=orograph)
    laptop = replace(head, environment={"PATH": CLIENT_PATH, "HOME": "/home/orograph"})
    said = laptop.run(["bash", "-euc", page_block("port-forward svc/")], 300)
    assert "ended with exit code 0" in said, said
    assert "E4250N2600" in said, said


def serve(head: Container, deployment: Deployment) -> None:
    """Do as KubeRay does with a RayService: give its configuration to the head, and wait for the application."""
    config = yaml.safe_load(manifest("rayservice.yaml", "RayService")["spec"]["serveConfigV2"])
    # KubeRay's pods have these from the config map, this head has those of the compose file.
    config["applications"][0]["runtime_env"] = {"env_vars": {"OROGRAPH_SERVICE_KEYS_FILE": "/keys/keys.json"}}
    head.run([sys.executable, "-c", SERVE, json.dumps(config), deployment.token], 300)


SERVE = """
import json, sys, time, urllib.request
config, token = sys.argv[1:]
url, headers = "http://127.0.0.1:8265/api/serve/applications/", {"Authorization": "Bearer " + token}
def ask(url, headers={}, body=None, method="GET"):
    return urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=60).read()
ask(url, {**headers, "Content-Type": "application/json"}, config.encode(), "PUT")
for _ in range(400):
    (made,) = json.loads(ask(url, headers))["applications"].values()
    if made["status"] == "RUNNING":
        break
    assert made["status"] in {"NOT_STARTED", "DEPLOYING"}, made
    time.sleep(0.5)
assert json.loads(ask("http://127.0.0.1:8000/readyz"))["store"] == "writable"
(found,) = json.loads(ask("http://127.0.0.1:8000/stac/search"))["features"]
"""


def ray_up(deployment: Deployment, machine: Container) -> None:
    """The page's block: its `ray up` stops the head that runs, and starts another as the file says."""
    nodes = {**image_environment(), **AS_CLOUD_ROLE, **BRISK}
    orograph = orograph_stand_in(f"{COARSE} --dry-run")
    stand_ins(deployment.stand_ins, ray=ray_stand_in(nodes), orograph=orograph)
    laptop = replace(machine, environment={"PATH": CLIENT_PATH, "HOME": "/home/orograph"})
    said = laptop.run(["bash", "-euc", page_block("ray up").replace("deploy/", f"{DEPLOY}/")], 400)
    assert "0 fetched" in said, said
    assert "ended with exit code 0" in said, said
    assert "E4250N2600" in said, said


# In place of an instance profile and AWS's own S3.
AS_CLOUD_ROLE = {
    "AWS_SHARED_CREDENTIALS_FILE": "/run/secrets/s3_credentials",
    "AWS_REGION": "us-east-1",
    "OROGRAPH_S3_ENDPOINT_URL": "http://s3:9000",
}


def kept_running(container: Container, service: dict[str, Any], log: Path) -> subprocess.Popen[Any]:
    """Start a service, again where it ends (`restart: unless-stopped`), until it is healthy."""
    assert service["restart"] == "unless-stopped"
    port = service["ports"][0].rsplit(":", 1)[1]
    for _ in range(4):
        process = container.start(service["command"], log)
        deadline = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):
                container.run(["bash", "-c", f": < /dev/tcp/127.0.0.1/{port}"])  # the check itself costs seconds of CPU
                container.run(service["healthcheck"]["test"][1:])
                return process
            time.sleep(1.0)
    raise AssertionError(log.read_text()[-3000:])


def test_the_service_and_its_keys(deployment: Deployment, tmp_path: Path) -> None:
    service, folder = deployment.service("service"), deployment.folder
    wait_for(service, [sys.executable, "-c", "import socket; socket.create_connection(('s3', 9000), 2)"])
    service.run(deployment.services["bucket"]["command"])
    process = kept_running(service, deployment.services["service"], tmp_path / "service.log")
    assert json.loads(request(service, "/readyz"))["store"] == "writable"
    assert json.loads(request(service, "/stac/search"))["type"] == "FeatureCollection"
    assert "orograph_http_requests_total" in request(service, "/metrics")
    assert order(service, "") == "401"
    create, list_ = (shlex.split(line) for line in page_block("orograph keys list").splitlines())
    old, new = (made_key(create, folder) for _ in range(2))
    listed = [sys.executable, "-m", *list_, "--json"]
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
