"""Starts and stops a real S3 server (Ceph's radosgw, from Debian) for tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("start_rgw.sh")
PROGRAMS = ("radosgw", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool", "radosgw-admin")


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server; its credentials also stand in the environment."""

    endpoint_url: str
    access_key: str
    secret_key: str

    def client(self) -> Any:
        from orograph.infra.stores.s3_client import S3Options, make_client

        return make_client(S3Options(endpoint_url=self.endpoint_url))


def missing_programs() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program) is None]


@contextlib.contextmanager
def running_rgw() -> Iterator[S3Server]:
    """A server on free ports of the loopback, gone afterwards."""
    # Admin sockets must have short paths, so pytest's own long temporary folders do not do.
    folder = Path(tempfile.mkdtemp(prefix="rgw"))
    server = S3Server(f"http://127.0.0.1:{(port := free_port())}", "orographtest", "orographtestsecret")
    try:
        with (folder / "start.log").open("wb") as log:
            subprocess.run(
                [SCRIPT, folder, str(port), str(free_port()), server.access_key, server.secret_key],
                check=True,
                timeout=120,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        _await_answer(server.endpoint_url)
        yield server
    finally:
        # radosgw first: an OSD whose monitor is gone does not end.
        for name in ("rgw", "osd.0", "mon.a"):
            _stop(folder / f"{name}.pid")
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _stop(pid_file: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        for attempt in range(50):
            os.kill(pid, 0 if attempt < 20 else signal.SIGKILL)
            time.sleep(0.1)
