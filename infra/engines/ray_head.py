"""Finds the Ray head node for commands: by address, by environment variable, or running on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from orograph.pipeline.errors import ClusterAccessDenied, OrographError, ResourcesMissing

DASHBOARD: Final = "http://127.0.0.1:8265"
_GCS_PROGRAM: Final = "gcs_server"


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """A job of a cluster that `orograph submit` made.

    Attributes:
        name: Submission id.
        state: Ray's state: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        message: Ray's message about the state.
        key: Identity of the request.
    """

    name: str
    state: str
    message: str
    key: str


def local_heads(proc: Path = Path("/proc")) -> tuple[str, ...]:
    """Addresses (`host:port`) of the heads that run on this machine, read from their command lines; sorted."""
    found = set()
    for entry in proc.glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if Path(words[0]).name != _GCS_PROGRAM:
            continue
        options = dict(word.lstrip("-").split("=", 1) for word in words if word.startswith("--") and "=" in word)
        port = options.get("gcs_server_port", "")
        if port.isdigit() and int(port):
            found.add(f"{options.get('node-ip-address') or options.get('node_ip_address') or '127.0.0.1'}:{port}")
    return tuple(sorted(found))


def client_of(address: str | None) -> Any:
    """A client of the cluster's dashboard.

    Args:
        address: Address of the dashboard (`http://head:8265`) or head (`head:6379`); `RAY_ADDRESS`, port 8265 here, or
            the only head of this machine when None.

    Raises:
        ClusterAccessDenied: the cluster rejects the token.
        ResourcesMissing: no cluster answers.
    """
    if address is not None or os.environ.get("RAY_ADDRESS"):
        return _connected(address)
    try:
        # Ray itself would look for whatever cluster ran here last, and wait for it most of a minute.
        return _connected(DASHBOARD)
    except ResourcesMissing:
        heads = local_heads()
        if len(heads) != 1:
            raise
        return _connected(heads[0])


def jobs_of(client: Any) -> list[ClusterJob]:
    """The cluster's jobs that were submitted by `orograph submit`, oldest first."""
    infos = [info for info in client.list_jobs() if info.submission_id and (info.metadata or {}).get("orograph")]
    infos.sort(key=lambda info: info.start_time or 0)
    return [
        ClusterJob(info.submission_id, str(info.status.value), info.message or "", info.metadata["orograph"])
        for info in infos
    ]


def jobs_in_sight(environment: Mapping[str, str] = os.environ) -> list[ClusterJob]:
    """Jobs of the cluster that the environment names or that runs on this machine; none if no cluster responds."""
    if not environment.get("RAY_ADDRESS") and not local_heads():
        return []
    try:
        return jobs_of(client_of(None))
    except (OrographError, ModuleNotFoundError):
        return []


def _connected(address: str | None) -> Any:
    from ray.job_submission import JobSubmissionClient

    if address is not None:
        # Ray lets the variable win over the argument, and would submit to the wrong cluster without a word.
        os.environ["RAY_ADDRESS"] = address
    try:
        client = JobSubmissionClient(address)
        client.get_version()
    except Exception as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        where = address or os.environ.get("RAY_ADDRESS")
        if address is not None:
            del os.environ["RAY_ADDRESS"]
        if "401" in str(error) or "403" in str(error) or "uthentication" in str(error):
            raise ClusterAccessDenied(
                f"the cluster at {where} rejects the token: {text}",
                remedy="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH)",
            ) from error
        raise ResourcesMissing(
            f"no Ray cluster answers at {where}: {text}",
            remedy="give its dashboard's address, e.g. --address http://head:8265",
        ) from error
    return client
