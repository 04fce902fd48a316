"""Commands of the documentation and the deployment files: parsed by the program, or run in a clean environment."""

from __future__ import annotations

import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from orograph.infra.cli.app import app
from orograph.pipeline.version import __version__
from tests.support.manifests import DEPLOY, ROOT, documents

DEPLOY_PAGES = (DEPLOY / "README.md", ROOT / "docs/tutorials/on-a-cluster.md")
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "deploy/README.md", "docs/index.md", "docs/gpu.md")),
    *(ROOT / "docs/tutorials").glob("*.md"),
    *(ROOT / "docs/how-to").glob("*.md"),
)


def blocks(page: Path) -> Iterator[str]:
    """Command lines of a page's fenced blocks; lines that end in a backslash are joined."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()


def command_lists(value: Any) -> Iterator[list[str]]:
    """Entry commands of compose files and manifests."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key == "command" and isinstance(member, list):
                yield [str(word) for word in member]
            elif key == "entrypoint" and isinstance(member, str):
                yield shlex.split(member)
            else:
                yield from command_lists(member)
    elif isinstance(value, list):
        for member in value:
            yield from command_lists(member)


def orograph_commands(pages: tuple[Path, ...] = PAGES) -> Iterator[tuple[str, list[str]]]:
    for page in pages:
        for line in blocks(page):
            if "orograph " not in line or "'{{" in line or line.startswith((" ", "from ", "import ")):
                continue
            try:
                words = shlex.split(line.removeprefix("$ "), comments=True)
            except ValueError:  # output of a command
                continue
            if "orograph" in words and words[0] not in {"git", "pip", "docker"} and not re.search("kubectl|helm", line):
                command = words[words.index("orograph") + 1 :]
                ends = [place for place, word in enumerate(command) if word in {">", "2>", "|", "&", "&&", ";"}]
                yield page.name, command[: ends[0]] if ends else command
    for path in (*(DEPLOY / "kubernetes").glob("*.yaml"), DEPLOY / "compose/compose.yaml"):
        for document in documents(path):
            for words in command_lists(document):
                if words[0] == "orograph":
                    yield path.name, words[1:]
    for line in yaml.safe_load((DEPLOY / "ray/cluster-aws.yaml").read_text())["setup_commands"]:
        yield "cluster-aws.yaml", shlex.split(line)[1:]


@cache
def program() -> Any:
    return typer.main.get_command(app)


def parse(words: list[str]) -> None:
    """Resolve command and options as the program would, without running it."""
    command = program()
    context: Any = None
    name, arguments = "orograph", [word for word in words if word not in {"&", "..."}]
    while True:
        context = command.make_context(name, list(arguments), parent=context)
        if not isinstance(command, TyperGroup):
            if name == "submit":
                parse(list(context.params["arguments"]))
            return
        rest = [*context._protected_args, *context.args]
        found, next_command, arguments = command.resolve_command(context, rest)
        assert next_command is not None, words
        command, name = next_command, found or ""


def test_every_orograph_command_is_one() -> None:
    found = list(orograph_commands())
    assert len(found) >= 12
    for where, words in found:
        try:
            parse(words)
        except Exception as error:  # noqa: BLE001 - Typer's copy of click is private
            if str(error).endswith("does not exist."):  # a folder of the page's own example
                continue
            pytest.fail(f"{where}: orograph {shlex.join(words)}: {error}")


def test_docker_builds_what_there_is() -> None:
    lines = [line for line in blocks(DEPLOY / "README.md") if line.startswith(("docker build ", "docker buildx "))]
    assert len(lines) == 4
    dockerfile = (DEPLOY / "docker/Dockerfile").read_text()
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)", dockerfile, re.MULTILINE)
    for line in lines:
        words = shlex.split(line)
        if words[1] == "buildx":
            assert words[2:5] == ["imagetools", "inspect", base]
            continue
        options = dict(zip(words[2:-1:2], words[3:-1:2], strict=True))
        assert words[-1] == ".", "the context is the checkout"
        assert (ROOT / options["-f"]).exists()
        assert f" AS {options.get('--target', 'cpu')}\n" in dockerfile
        assert options["-t"].split("/")[-1].startswith(f"orograph:{__version__}")
        assert options.get("--build-arg", f"PYTHON_IMAGE={base}").startswith(f"PYTHON_IMAGE={base}")


def kubernetes_objects() -> dict[str, set[str]]:
    """Names in the namespace, by the word kubectl takes for their kind; those KubeRay derives included."""
    found: dict[str, set[str]] = {"secret": {"orograph-s3", "orograph-keys"}, "svc": set(), "rayjob": set()}
    for path in (DEPLOY / "kubernetes").glob("*.yaml"):
        for document in documents(path):
            name = document["metadata"]["name"]
            assert document["metadata"].get("namespace", "orograph") == "orograph"
            found.setdefault(document["kind"].lower(), set()).add(name)
            if document["kind"] == "RayCluster":
                found["secret"].add(name)
                found["svc"].add(f"{name}-head-svc")
            if document["kind"] == "RayService":
                found["svc"].add(f"{name}-serve-svc")
    return found


def test_kubectl_and_helm_name_what_there_is() -> None:
    """Files, namespaces, objects and their keys; no cluster is at hand to execute them."""
    page = (DEPLOY / "README.md").read_text()
    objects, files = kubernetes_objects(), set()
    commands = [line for line in blocks(DEPLOY / "README.md") if re.search(r"\b(kubectl|helm) ", line)]
    commands += re.findall(r"`(kubectl [^`]+)`", page)
    for command in commands:
        for one in re.split(r" \| |\$\(|\)", command):
            words = shlex.split(one, comments=True)
            if not words or words[0] not in {"kubectl", "helm"}:
                continue
            named = [word for flag, word in pairwise(words) if flag == "-f" and word != "-"]
            files |= {Path(name).name for name in named}
            assert all((ROOT / name).exists() for name in named), one
            if "-n" in words:
                assert words[words.index("-n") + 1] == ("ray-system" if words[0] == "helm" else "orograph"), one
            if words[3:4] == ["get"]:
                assert words[5] in objects[words[4]], one
            if "port-forward" in words:
                kind, _, name = words[words.index("port-forward") + 1].partition("/")
                assert name in objects[kind], one
            if words[3:6] == ["create", "secret", "generic"]:
                assert words[6] in objects["secret"], one
    assert files == {path.name for path in (DEPLOY / "kubernetes").glob("*.yaml")}, "the page applies every file"
    pods = (DEPLOY / "kubernetes/rayservice.yaml").read_text()
    assert "secretRef: {name: orograph-s3, optional: true}" in pods
    assert "secret: {secretName: orograph-keys, optional: true}" in pods
    assert re.search(r"create secret generic orograph-keys --from-file=(keys.json) ", page)
    (settings,) = [made["data"] for made in documents(DEPLOY / "kubernetes/base.yaml") if made["kind"] == "ConfigMap"]
    assert settings["OROGRAPH_SERVICE_KEYS_FILE"] == "/keys/keys.json"
    assert "kubernetes.io/metadata.name: ray-system" in (DEPLOY / "kubernetes/network.yaml").read_text()
    assert {f"svc/{name}" for name in objects["svc"]} >= set(re.findall(r"svc/[\w-]+", page))
    assert "orograph-service-serve-svc" in objects["svc"]


def test_every_command_of_the_page_is_executed_or_matched() -> None:
    """What a test executes (`tests/integration/test_deployment.py`), and what the tests above match to the files."""
    executed = (
        "./secrets.sh",
        "docker compose ",
        "orograph ",
        "ray ",
        "RAY_AUTH_MODE=token orograph ",
        "cd deploy/",
        "export RAY_",
    )
    matched = ("docker build", "kubectl ", "helm install ")
    for line in blocks(DEPLOY / "README.md"):
        assert not line.strip() or line.startswith((*executed, *matched)), f"no test knows {line!r}"


def test_runs_name_their_sources() -> None:
    """The whole bundled catalogue asks for datasets that nobody has mounted."""
    for where, words in orograph_commands(DEPLOY_PAGES):
        if "run" in words:
            assert "--source" in words, f"{where}: {words}"


def test_secrets_are_made_once_and_keys_where_they_are_mounted(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "compose/secrets.sh", tmp_path)
    clean = {"PATH": "/usr/bin:/bin"}
    script = ["bash", str(tmp_path / "secrets.sh")]
    subprocess.run(script, check=True, env=clean, capture_output=True)
    before = {path: path.read_bytes() for path in (tmp_path / "secrets").rglob("*") if path.is_file()}
    subprocess.run(script, check=True, env=clean, capture_output=True)
    assert before == {path: path.read_bytes() for path in before}
    compose = documents(DEPLOY / "compose/compose.yaml")[0]
    for secret in compose["secrets"].values():
        assert (tmp_path / secret["file"]).stat().st_size > 0
    (line,) = [line for line in blocks(DEPLOY / "README.md") if "keys create" in line and "secrets/" in line]
    words = [sys.executable, "-m", *shlex.split(line)]
    made = subprocess.run(words, check=True, cwd=tmp_path, env={**clean, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert made.stdout.startswith(b"oro_")
    service = compose["services"]["service"]
    origin, target = next(v.split(":")[:2] for v in service["volumes"] if "keys" in v)
    inside = Path(service["environment"]["OROGRAPH_SERVICE_KEYS_FILE"])
    kept = tmp_path / origin / inside.relative_to(target)
    assert b"sha256" in kept.read_bytes()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o644, "user 1000 of the container reads it"


def ray_start_commands() -> Iterator[tuple[str, list[str]]]:
    """Options of every `ray start` of the deployment files; KubeRay writes those of its groups as `--name=value`."""
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        for document in documents(path):
            spec = document.get("spec") or {}
            cluster = spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec
            for group in [cluster.get("headGroupSpec"), *cluster.get("workerGroupSpecs", ())]:
                if group is not None:
                    role = "--head" if "groupName" not in group else "--address=head:6379"
                    yield path.name, [role, *(f"--{name}={value}" for name, value in group["rayStartParams"].items())]
    command = documents(DEPLOY / "compose/compose.yaml")[0]["services"]["head"]["command"]
    yield "compose.yaml", command[2:]
    cluster = yaml.safe_load((DEPLOY / "ray/cluster-aws.yaml").read_text())
    for command in (cluster["head_start_ray_commands"][-1], cluster["worker_start_ray_commands"][-1]):
        yield "cluster-aws.yaml", shlex.split(command.split("ray start ")[1])


def test_ray_takes_every_start_command() -> None:
    from ray.scripts.scripts import start

    found = list(ray_start_commands())
    assert len(found) >= 11
    heads = []
    for where, words in found:
        try:
            given = start.make_context("start", list(words)).params
        except Exception as error:  # noqa: BLE001 - of click, which Ray brings
            pytest.fail(f"{where}: ray start {shlex.join(words)}: {error}")
        if given["head"]:
            heads.append((given["metrics_export_port"], given["dashboard_host"]))
    # The head of the compose file is started by a test; the others differ in their CPUs and in who reaches the dashboard.
    assert {port for port, _ in heads} == {8080}
    assert {host for _, host in heads} == {"0.0.0.0", "127.0.0.1"}


def test_ray_up_starts_ray_with_its_token_in_a_login_shell(tmp_path: Path) -> None:
    """The image's profile file puts the program back on a PATH that login shells reset."""
    (tmp_path / "ray").write_text('#!/bin/sh\necho "$RAY_AUTH_MODE $(ulimit -n) $1 $2"\n')
    (tmp_path / "ray").chmod(0o755)
    dockerfile = (DEPLOY / "docker/Dockerfile").read_text()
    profile = re.search(r"echo '([^']+)' > /etc/profile.d/orograph.sh", dockerfile)
    assert profile is not None
    line = profile[1].replace("/usr/local/orograph/bin", str(tmp_path))
    (tmp_path / ".bash_profile").write_text(f". /etc/profile\n{line}\n")
    cluster = yaml.safe_load((DEPLOY / "ray/cluster-aws.yaml").read_text())
    for command in (cluster["head_start_ray_commands"][-1], cluster["worker_start_ray_commands"][-1]):
        short = command.replace("ulimit -n 65536", "ulimit -n 512")
        shell = ["bash", "--login", "-c", short]
        ended = subprocess.run(shell, check=True, env={"HOME": str(tmp_path)}, capture_output=True, text=True)
        assert ended.stdout.split()[:3] == ["token", "512", "start"]
