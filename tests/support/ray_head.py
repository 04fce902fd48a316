"""A real Ray head with token authentication, on free ports, for tests of job submission."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.rgw import free_port


@dataclass(frozen=True, slots=True)
class RayHead:
    """Where the head listens and the token it wants."""

    dashboard: str
    address: str
    token: str
    metrics_port: int
    log: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Of a client that may talk to it."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        # Ray's workers step back (nice 15) behind everything else, and beside other work they would hardly move.
        mine["RAY_worker_niceness"] = "0"
        return {**mine, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_ADDRESS": self.dashboard, **more}


@contextlib.contextmanager
def running_head(cpus: int = 2) -> Iterator[RayHead]:
    """A head of its own, ended by its process group: `ray stop` would end every other Ray of the machine."""
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    ports = {name: free_port() for name in ("port", "dashboard-port", "metrics-export-port", "ray-client-server-port",
                                            "dashboard-agent-listen-port", "dashboard-agent-grpc-port")}  # fmt: skip
    head = RayHead(
        f"http://127.0.0.1:{ports['dashboard-port']}",
        f"127.0.0.1:{ports['port']}",
        secrets.token_hex(32),
        ports["metrics-export-port"],
        folder / "head.log",
    )
    ray = Path(sys.executable).with_name("ray")
    environment = head.environment(PATH=f"{ray.parent}{os.pathsep}{os.environ['PATH']}", OROGRAPH_STORE="")
    del environment["RAY_ADDRESS"], environment["OROGRAPH_STORE"]
    command = [ray, "start", "--head", "--block", "--disable-usage-stats", f"--num-cpus={cpus}", f"--temp-dir={folder}"]
    command += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--object-store-memory=200000000"]
    command += [f"--{name}={port}" for name, port in ports.items()]
    with head.log.open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder, start_new_session=True
        )
    try:
        _await_head(head, process)
        yield head
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(3)
        for pid in _processes_of(str(folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def joined_node(head: RayHead, cpus: int = 1, hidden: Path | None = None, **environment: str) -> Iterator[Path]:
    """A further raylet of the head's cluster, yielding its log.

    Args:
        head: Whose cluster.
        cpus: What it offers.
        hidden: A folder that is empty for this node, as a mount that is missing there; needs a mount namespace.
        environment: Of the raylet and its workers, as of an image of its own.
    """
    names = ("node-manager-port", "object-manager-port", "metrics-export-port", "dashboard-agent-listen-port",
             "dashboard-agent-grpc-port", "runtime-env-agent-port")  # fmt: skip
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "start", f"--address={head.address}", "--block", "--disable-usage-stats", f"--num-cpus={cpus}"]
    command += ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000"]
    command += [f"--{name}={free_port()}" for name in names]
    if hidden is not None:
        script = 'mount -t tmpfs tmpfs "$0" && exec "$@"'
        command = ["unshare", "-m", "bash", "-c", script, str(hidden), *command]
    own = head.environment(PATH=f"{ray.parent}{os.pathsep}{os.environ['PATH']}", **environment)
    del own["RAY_ADDRESS"]
    log_file = head.log.with_name(f"node-{free_port()}.log")
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=own, start_new_session=True)
    try:
        yield log_file
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


def can_hide_folders() -> bool:
    """Whether this process may make mount namespaces."""
    return subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode == 0


def _await_head(head: RayHead, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(head.log.read_text())
        request = urllib.request.Request(
            f"{head.dashboard}/api/version", headers={"Authorization": f"Bearer {head.token}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"no dashboard: {head.log.read_text()}")


def _processes_of(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]
