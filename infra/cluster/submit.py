"""A run as a Ray job: submitted under a key of what it does, followed to its end, safe to submit again.

The submission id is the digest of arguments and code. Ray refuses an id twice; so two people who submit the same run
meet in one job, and a run that failed or was stopped is resubmitted under the next number, where it resumes.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from orograph.infra.cluster.code_bundle import copy_packages, package_digest
from orograph.infra.engines.environment import GDAL_ENV
from orograph.infra.stores.base import sha256_of
from orograph.pipeline.errors import ClusterRefused, EngineError, ResourcesMissing, UsageError
from orograph.pipeline.manifest import canonical_json

_POLL_S: Final = 1.0
_DASHBOARD: Final = "http://127.0.0.1:8265"
_MOST_TRIES: Final = 100
_SHIPPED: Final = {".yaml", ".yml", ".geojson", ".json"}
_RUNNING: Final = {"PENDING", "RUNNING"}


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to submit.

    Attributes:
        arguments: Of the `orograph` command, e.g. `("run", "--area", "5,45,16,48")`.
        files: Local files the arguments name, by their place in the job's working directory.
        installed: The cluster's image holds Orograph; only files are shipped.
        environment: Variables of the job; never secrets, for the dashboard shows them.
        cpus: Of the driver, which only waits; 0 lets it run on a head without CPUs.
    """

    arguments: tuple[str, ...]
    files: tuple[tuple[str, Path], ...] = ()
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
        """Identity of what is asked for: same arguments, environment and code, same key."""
        document = {
            "arguments": list(self.arguments),
            "environment": sorted(map(list, self.environment)),
            "code": "" if self.installed else package_digest(),
        }
        return f"orograph-{hashlib.sha256(canonical_json(document)).hexdigest()[:20]}"


def submit(address: str | None, submission: Submission, tell: Callable[[str], None]) -> tuple[Any, str]:
    """Submit a job, or find the one that already runs; returns the client and the submission id.

    Raises:
        ClusterRefused: the cluster refuses the token.
        ResourcesMissing: no cluster answers at the address.
        UsageError: an environment variable looks like a secret.
    """
    _refuse_secrets(submission)
    client = _client(address)
    known = {info.submission_id: str(info.status.value) for info in client.list_jobs() if info.submission_id}
    for number in range(1, _MOST_TRIES):
        name = submission.key if number == 1 else f"{submission.key}-{number}"
        state = known.get(name)
        if state in _RUNNING:
            tell(f"the same run is under way as {name}: following it")
            return client, name
        if state is None:
            tell(f"submitting {name}: {submission.entrypoint}")
            _submit_as(client, name, submission)
            return client, name
    raise EngineError(f"{submission.key} was submitted {_MOST_TRIES} times", remedy="delete old jobs of the cluster")


def follow(client: Any, name: str, write: Callable[[str], None]) -> int:
    """Pass the job's output on until it ends; its exit code, 1 where Ray does not tell it.

    Raises:
        EngineError: the job did not begin, or Ray lost it.
    """
    seen = 0
    while True:
        info = client.get_job_info(name)
        state = str(info.status.value)
        logs = client.get_job_logs(name) or ""
        if len(logs) > seen:
            write(logs[seen:])
            seen = len(logs)
        if state not in _RUNNING:
            break
        time.sleep(_POLL_S)
    if state == "SUCCEEDED":
        return 0
    if state == "STOPPED":
        raise EngineError(f"{name} was stopped", remedy="submit it again: it resumes")
    code = getattr(info, "driver_exit_code", None)
    if code is None:
        raise EngineError(f"{name} failed before it began: {info.message}", remedy=f"ray job logs {name}")
    return int(code)


def _submit_as(client: Any, name: str, submission: Submission) -> None:
    environment = {**GDAL_ENV, **dict(submission.environment)}
    runtime: dict[str, Any] = {"env_vars": environment}
    metadata = {"orograph": submission.key}
    with tempfile.TemporaryDirectory(prefix="orograph-job-") as folder:
        if not submission.installed:
            copy_packages(Path(folder))
        for name_there, path in submission.files:
            target = Path(folder, name_there)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        if any(Path(folder).iterdir()):
            runtime["working_dir"] = folder
        client.submit_job(
            entrypoint=submission.entrypoint,
            submission_id=name,
            runtime_env=runtime,
            metadata=metadata,
            entrypoint_num_cpus=submission.cpus,
        )


def _client(address: str | None) -> Any:
    from ray.job_submission import JobSubmissionClient

    if address is None and not os.environ.get("RAY_ADDRESS"):
        # Ray would look for whatever cluster ran here last, and wait for it most of a minute.
        address = _DASHBOARD
    if address is not None:
        # Ray lets the variable win over the argument, and would submit to the wrong cluster without a word.
        os.environ["RAY_ADDRESS"] = address
    try:
        client = JobSubmissionClient(address)
        client.get_version()
    except Exception as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        if "401" in str(error) or "403" in str(error) or "uthentication" in str(error):
            raise ClusterRefused(
                f"the cluster refuses us: {text}",
                remedy="set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH)",
            ) from error
        raise ResourcesMissing(
            f"no Ray cluster answers at {address or 'RAY_ADDRESS'}: {text}",
            remedy="give its dashboard's address, e.g. --address http://head:8265",
        ) from error
    return client


def _refuse_secrets(submission: Submission) -> None:
    marks = ("SECRET", "TOKEN", "PASSWORD", "ACCESS_KEY", "CREDENTIAL")
    for name, _ in submission.environment:
        if any(mark in name.upper() for mark in marks):
            raise UsageError(
                f"{name} looks like a secret, and a job's environment is shown on the dashboard",
                remedy="give the nodes a role, or mount a secret (deploy/README.md)",
            )


def submission_of(arguments: Sequence[str], environment: Sequence[str], *, installed: bool) -> Submission:
    """A submission from what stands on a command line; local catalogues and areas it names are shipped.

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
    _refuse_private_store(arguments, dict(pairs))
    rewritten, files = [], []
    for argument in arguments:
        # A file stands alone, or behind `--aoi=` or `adjustments=`.
        head, equals, last = argument.rpartition("=")
        path = Path(last)
        if path.suffix in _SHIPPED and path.is_file():
            # The digest makes a changed file another submission.
            name_there = f"inputs/{sha256_of(path)[:12]}-{path.name}"
            files.append((name_there, path.absolute()))
            rewritten.append(f"{head}{equals}{name_there}")
        else:
            rewritten.append(argument)
    return Submission(tuple(rewritten), tuple(files), installed, tuple(pairs))


def _refuse_private_store(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """A job's working directory is swept away, and its nodes do not see each other's disks."""
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
