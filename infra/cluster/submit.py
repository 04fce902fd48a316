"""A run as a Ray job: submitted under a key of its content, followed to its end, safe to submit again.

The submission id is the digest of arguments and code. Ray rejects an id that exists; two users who submit the same run
share one job. A run that has ended is submitted under the next free number and resumes where it stopped. Of the ended
jobs, the cluster's list keeps the latest.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from orograph.infra.cluster.code_bundle import copy_packages, package_digest
from orograph.infra.cluster.uploaded_files import anchored_text
from orograph.infra.engines.environment import GDAL_ENV
from orograph.infra.engines.ray_head import ClusterJob, client_of, jobs_of
from orograph.infra.stores.base import sha256_of
from orograph.pipeline.errors import EngineError, UsageError
from orograph.pipeline.manifest import canonical_json

_POLL_S: Final = 1.0
_HEAD_START_S: Final = 120.0
_RECONNECTS: Final = 10
_KEPT: Final = 20
"""Ended jobs of one command that stay in the cluster's list."""
_UPLOADED: Final = {".yaml", ".yml", ".geojson", ".json"}
_RUNNING: Final = {"PENDING", "RUNNING"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to submit.

    Attributes:
        arguments: Arguments of the `orograph` command, e.g. `("run", "--area", "5,45,16,48")`.
        files: Contents of local files the arguments name, by their place in the job's working directory.
        installed: The cluster's image contains Orograph; only files are uploaded.
        environment: Environment variables of the job; never secrets, because the dashboard shows them.
        cpus: CPUs reserved for the driver, which only waits; 0 lets it run on a head node without CPUs.
    """

    arguments: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...] = ()
    installed: bool = False
    environment: tuple[tuple[str, str], ...] = ()
    cpus: float = 0.0

    @property
    def entrypoint(self) -> str:
        """The command line the cluster runs."""
        # -P: nothing in the job's working directory but the package itself may be imported by accident.
        return shlex.join(["python", "-P", "-m", "orograph", *self.arguments])

    @property
    def key(self) -> str:
        """Identity of the request: same arguments, environment and code, same key."""
        document = {
            "arguments": list(self.arguments),
            "environment": sorted(map(list, self.environment)),
            "code": "" if self.installed else package_digest(),
        }
        return f"orograph-{hashlib.sha256(canonical_json(document)).hexdigest()[:20]}"


def submit(address: str | None, submission: Submission, tell: Callable[[str], None]) -> tuple[Any, str]:
    """Submit a job, or find the one that already runs; returns the client and the submission id.

    Raises:
        ClusterAccessDenied: the cluster rejects the token.
        ResourcesMissing: no cluster answers at the address.
        UsageError: an environment variable looks like a secret.
    """
    _reject_secrets(submission)
    client = client_of(address)
    for _ in range(_RECONNECTS):
        former = [job for job in jobs_of(client) if job.key == submission.key]
        running = [job for job in former if job.state in _RUNNING]
        if running:
            tell(f"the same run is under way as {running[-1].name}: following it")
            return client, running[-1].name
        number = 1 + max((_number_of(job.name, submission.key) for job in former), default=0)
        name = submission.key if number == 1 else f"{submission.key}-{number}"
        tell(f"submitting {name}: {submission.entrypoint}")
        try:
            _submit_when_ready(client, name, submission)
        except (RuntimeError, OSError) as error:
            if "already exists" not in str(error):
                raise EngineError(
                    f"{name} was not accepted: {_first_line(error)}", remedy="look at `ray status`"
                ) from error
            continue  # another submitter was faster: follow that job
        _forget(client, former[: -_KEPT + 1])
        return client, name
    raise EngineError(f"{submission.key} is submitted by others all the time", remedy="look at `ray job list`")


def _number_of(name: str, key: str) -> int:
    rest = name.removeprefix(key).removeprefix("-")
    return int(rest) if rest.isdigit() else 1


def _forget(client: Any, jobs: Sequence[ClusterJob]) -> None:
    """Take old jobs out of the cluster's list; their results are in the store."""
    for job in jobs:
        with contextlib.suppress(RuntimeError):
            client.delete_job(job.name)


def follow(client: Any, name: str, write: Callable[[str], None]) -> int:
    """Write the job's output until the job ends; return its exit code, or 1 where Ray does not report it.

    Raises:
        EngineError: the job did not begin, or Ray lost it.
    """
    asyncio.run(_tail(client, name, write))
    info = client.get_job_info(name)
    while str(info.status.value) in _RUNNING:  # the log may end a moment before the job
        time.sleep(_POLL_S)
        info = client.get_job_info(name)
    state = str(info.status.value)
    if state == "SUCCEEDED":
        return 0
    if state == "STOPPED":
        raise EngineError(f"{name} was stopped", remedy="submit it again: it resumes")
    code = getattr(info, "driver_exit_code", None)
    if code is None:
        raise EngineError(f"{name} failed before it began: {info.message}", remedy=f"ray job logs {name}")
    return int(code)


async def _tail(client: Any, name: str, write: Callable[[str], None]) -> None:
    """Pass on the log as Ray sends it; after a lost connection, skip the part already passed on."""
    seen = 0
    for number in range(_RECONNECTS):
        position = 0
        try:
            async for text in client.tail_job_logs(name):
                position += len(text)
                if position > seen:
                    write(text[-(position - seen) :])
                    seen = position
        except (RuntimeError, OSError) as error:
            _log.info("the log of %s broke off: %s", name, error)
        if str(client.get_job_info(name).status.value) not in _RUNNING:
            return
        await asyncio.sleep(_POLL_S * min(number + 1, 5))


def _submit_when_ready(client: Any, name: str, submission: Submission) -> None:
    """Submit; a head that has just started answers for some seconds that it has no agent, or not at all."""
    deadline_s = time.monotonic() + _HEAD_START_S
    while True:
        try:
            return _submit_as(client, name, submission)
        except (RuntimeError, OSError) as error:
            passes = isinstance(error, OSError) or "No available agent" in str(error)
            if not passes or time.monotonic() > deadline_s:
                raise
            _log.info("the head is starting: %s", _first_line(error))
            time.sleep(_POLL_S)


def _submit_as(client: Any, name: str, submission: Submission) -> None:
    environment = {**GDAL_ENV, **dict(submission.environment)}
    runtime: dict[str, Any] = {"env_vars": environment}
    metadata = {"orograph": submission.key}
    with tempfile.TemporaryDirectory(prefix="orograph-job-") as folder:
        if not submission.installed:
            copy_packages(Path(folder))
        for name_there, content in submission.files:
            target = Path(folder, name_there)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        if any(Path(folder).iterdir()):
            runtime["working_dir"] = folder
        client.submit_job(
            entrypoint=submission.entrypoint,
            submission_id=name,
            runtime_env=runtime,
            metadata=metadata,
            entrypoint_num_cpus=submission.cpus,
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _reject_secrets(submission: Submission) -> None:
    marks = ("SECRET", "TOKEN", "PASSWORD", "ACCESS_KEY", "CREDENTIAL")
    for name, _ in submission.environment:
        if any(mark in name.upper() for mark in marks):
            raise UsageError(
                f"{name} looks like a secret, and a job's environment is shown on the dashboard",
                remedy="give the nodes a role, or mount a secret (deploy/README.md)",
            )


def submission_of(arguments: Sequence[str], environment: Sequence[str], *, installed: bool) -> Submission:
    """Build a submission from a command line.

    Local catalogues and areas it names are uploaded, their own relative paths made absolute; other local files are
    named by their absolute path, which the nodes must share.

    Raises:
        UsageError: an environment entry that is not NAME=VALUE, nothing to run, or a store the nodes do not share.
    """
    if not arguments:
        raise UsageError("nothing to run", remedy="orograph submit -- run --area 5,45,16,48 --store s3://bucket/eu")
    pairs = []
    for entry in environment:
        name, separator, value = entry.partition("=")
        if not separator or not name:
            raise UsageError(f"--env {entry!r} is not NAME=VALUE")
        pairs.append((name, value))
    if "OROGRAPH_STORE" in os.environ and not any(name == "OROGRAPH_STORE" for name, _ in pairs):
        pairs.append(("OROGRAPH_STORE", os.environ["OROGRAPH_STORE"]))
    _reject_private_store(arguments, dict(pairs))
    rewritten, files = [], []
    for argument in arguments:
        # A file stands alone, or behind `--aoi=` or `adjustments=`.
        head, equals, last = argument.rpartition("=")
        path = Path(last)
        if path.suffix in _UPLOADED and path.is_file():
            text = anchored_text(path)
            # The digest makes a changed file another submission.
            name_there = f"inputs/{sha256_of(text)[:12]}-{path.name}"
            files.append((name_there, text))
            rewritten.append(f"{head}{equals}{name_there}")
        elif path.is_file() and not path.is_absolute():
            rewritten.append(f"{head}{equals}{path.absolute()}")
        else:
            rewritten.append(argument)
    return Submission(tuple(rewritten), tuple(files), installed, tuple(pairs))


def _reject_private_store(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Reject a local folder as store: a job's working directory is deleted, and its nodes do not share disks."""
    if arguments[0] not in {"run", "export"}:
        return
    store = environment.get("OROGRAPH_STORE", "")
    for option, value in pairwise(arguments):
        if option in {"--store", "-o"}:
            store = value
    store = next((a.partition("=")[2] for a in arguments if a.startswith("--store=")), store)
    if not store.startswith(("s3://", "/")):
        raise UsageError(
            f"{store or 'the default store'} is a place no other node sees",
            remedy="say --store s3://bucket/prefix, or the absolute path of a shared disk",
        )
