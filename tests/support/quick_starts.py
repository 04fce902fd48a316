"""Blocks of `deploy/README.md` as scripts, the containers they start, and stand-ins of the programs that need more than this machine.

The S3 server is radosgw under the name and port of the compose file's, the data of `glo-30` is a made source, and geoid grids
are there already, as no network is.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.container import IMAGE_BIN, Container, image_environment, running_container
from tests.support.made import source, write_source
from tests.support.manifests import DEPLOY, ROOT, documents
from tests.support.rgw import S3Server

PAGE: Final = DEPLOY / "README.md"
# Inside one tile of every area of the page.
_BOUNDS_M: Final = (4_255_000.0, 2_605_000.0, 4_295_000.0, 2_645_000.0)


def page_blocks() -> list[str]:
    """Fenced blocks of the page; lines that end in a backslash are joined."""
    found = re.findall(r"^```[a-z]*\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [re.sub(r"\\\n\s*", " ", block) for block in found]


def page_block(words: str) -> str:
    """The only block of the page that contains these words."""
    (block,) = [block for block in page_blocks() if words in block]
    return block


def manifest(file: str, kind: str) -> dict[str, Any]:
    """The only document of a kind in a Kubernetes file."""
    (found,) = [made for made in documents(DEPLOY / "kubernetes" / file) if made["kind"] == kind]
    return found


def write_data(folder: Path) -> None:
    """A source named `glo-30` of one tile, and its catalogue."""
    folder.mkdir(parents=True)
    write_source(folder / "heights.tif", "EPSG:3035", _BOUNDS_M, 500.0)
    made = source(Path("/data/heights.tif"), id="glo-30", resolution_m=500.0)
    listed = {"sources": [json.loads(made.model_dump_json(exclude_none=True))]}
    (folder / "catalogue.yaml").write_text(yaml.safe_dump(listed))
    folder.chmod(0o755)


def owned(folder: Path) -> Path:
    """A new folder of user 1000, as a volume is."""
    folder.mkdir(parents=True)
    os.chown(folder, 1000, 1000)
    return folder


def stand_ins(folder: Path, **scripts: str) -> Path:
    """A folder of programs that take the place of others, each a shell script."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)
    folder.chmod(0o755)
    return folder


def with_options(command: str, options: str) -> str:
    """Script that runs a command with its arguments, and with more options if these contain a run."""
    return f'for word in "$@"; do [ "$word" = run ] && exec {command} "$@" {options}; done; exec {command} "$@"'


def docker_stand_in(head: Container, options: str) -> str:
    """`docker compose exec head` enters the head's container; services are started by the caller."""
    enter = shlex.join(head.words([], {}))
    run = f"exec_in_head() {{\n{with_options(enter, options)}\n}}"
    return f'{run}\ncase "$*" in "compose up -d --build") ;; "compose exec head "*) shift 3; exec_in_head "$@";; *) exit 64;; esac'


def kubectl_stand_in(token: str) -> str:
    """The token of the cluster's secret; forwarded ports are those of the container already."""
    return f'case "$*" in *"get secret orograph -o"*) printf %s {token} | base64;; *port-forward* | "apply -f "*) ;; *) exit 64;; esac'


def orograph_stand_in(options: str) -> str:
    """The image's program, its runs with more options."""
    return with_options(f"{IMAGE_BIN}/orograph", options)


def ray_stand_in(nodes: Mapping[str, str]) -> str:
    """Ray's program, whose `up` makes a head of this machine: the file's commands as user of the image, in login shells.

    Args:
        nodes: Variables of nodes.
    """
    cluster = yaml.safe_load((DEPLOY / "ray/cluster-aws.yaml").read_text())
    assert cluster["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}, "the same home here"
    commands = [*cluster["setup_commands"], *cluster["head_start_ray_commands"]]
    login = shlex.join(["env", "-i", *(f"{name}={value}" for name, value in nodes.items()), "bash", "--login", "-c"])
    up = [f"cp {DEPLOY}/ray/cluster-aws.yaml ~/ray_bootstrap_config.yaml"]
    up += [f"{login} {shlex.quote(command)} || exit" for command in commands]
    return "\n".join(['case "$1" in', "up)", *up, ";;", "dashboard) ;;", "down)", f"{login} 'ray stop' ;;", _REAL_RAY])


_REAL_RAY: Final = f'*) exec {IMAGE_BIN}/ray "$@"\nesac'


class Deployment:
    """Containers of the deployment files, with the compose file's secrets and volumes.

    Args:
        folder: A new folder.
        grids: Geoid grids to fill the volume with.
        server: The S3 server, `s3:9000` in every container.
        stack: Ends what is started.
    """

    def __init__(self, folder: Path, grids: Path, server: S3Server, stack: contextlib.ExitStack) -> None:
        self.folder = folder / "deploy/compose"
        self._server, self._stack = server, stack
        shutil.copytree(DEPLOY / "compose", self.folder)
        subprocess.run([self.folder / "secrets.sh"], check=True, capture_output=True)
        self._use_credentials_of_server()
        write_data(folder / "data")
        volume = owned(folder / "grids")
        for grid in grids.iterdir():
            shutil.copy(grid, volume)
        compose = documents(self.folder / "compose.yaml")[0]
        self.services: dict[str, dict[str, Any]] = compose["services"]
        self._mounts = {f"/run/secrets/{name}": self.folder / made["file"] for name, made in compose["secrets"].items()}
        self._mounts |= {"/grids": volume, "/keys": self.folder / "secrets/keys", "/data": folder / "data"}
        self._mounts |= {"/stand-ins": stand_ins(folder / "stand-ins")}

    @property
    def token(self) -> str:
        """Ray's token."""
        return (self.folder / "secrets/ray_token").read_text()

    @property
    def stand_ins(self) -> Path:
        """Folder of `/stand-ins` in every container."""
        return self._mounts["/stand-ins"]

    def container(self, name: str, **environment: str) -> Container:
        """A new container with the image's and these variables."""
        folder = self.folder.parent / f"container-{name}"
        wire, scratch = owned(folder / "wire"), owned(folder / "scratch")
        mounts = {**self._mounts, "/wire": wire, "/scratch": scratch}
        read_only = [path for path in self._mounts if path != "/grids"]
        made = self._stack.enter_context(running_container(folder, mounts, ["s3"], read_only))
        self._stack.enter_context(_s3_at_port_9000(made, self._server, wire))
        return replace(made, environment={**made.environment, **environment})

    def service(self, name: str, **environment: str) -> Container:
        """A new container with a compose service's variables."""
        return self.container(name, **self.services[name]["environment"], **environment)

    def pod_environment(self) -> dict[str, str]:
        """Variables of a pod of the Kubernetes files whose bucket is on a server of one's own."""
        settings: Mapping[str, str] = manifest("base.yaml", "ConfigMap")["data"]
        secret = {"AWS_ACCESS_KEY_ID": self._server.access_key, "AWS_SECRET_ACCESS_KEY": self._server.secret_key}
        return {**image_environment(), **settings, **secret, "OROGRAPH_S3_ENDPOINT_URL": "http://s3:9000"}

    def _use_credentials_of_server(self) -> None:
        """The S3 server's own user, in the form `secrets.sh` writes."""
        credentials = self.folder / "secrets/s3_credentials"
        values = {"aws_access_key_id": self._server.access_key, "aws_secret_access_key": self._server.secret_key}
        lines = credentials.read_text().splitlines()
        assert {line.split(" = ")[0] for line in lines if " = " in line} == set(values)
        credentials.write_text("\n".join(["[default]", *(f"{name} = {value}" for name, value in values.items())]))


@contextlib.contextmanager
def _s3_at_port_9000(container: Container, server: S3Server, shared_folder: Path) -> Iterator[None]:
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
