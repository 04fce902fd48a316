"""Shared fixtures: real data beside the checkout, and the rule that CI may not skip for want of it."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.rgw import S3Server, missing_programs, running_rgw

SHARED = Path(__file__).resolve().parents[2] / "shared"
REQUIRED = {name for name in os.environ.get("OROGRAPH_REQUIRE", "").split(",") if name}


def skip_or_fail(component: str, message: str) -> None:
    """Skip where a person's machine lacks a component; fail where it must be there."""
    if component in REQUIRED:
        pytest.fail(f"{component} is required here: {message}")
    pytest.skip(message)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Path of a real file below `../shared`; the test is skipped where it is absent."""
    schemas: list[Path] = []

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            skip_or_fail("shared", f"real data {relative} is not on this machine")
        if relative != "stac-schemas":
            return path
        if not schemas:
            # Extensions that the folder has no schema of are described next to the tests.
            schemas.append(tmp_path_factory.mktemp("schemas") / relative)
            for folder in (Path(__file__).parent / "support" / relative, path):
                shutil.copytree(folder, schemas[0], dirs_exist_ok=True)
        return schemas[0]

    return find


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[str]:
    """A local Ray cluster of two CPUs that the whole session shares; starting one costs five seconds."""
    import ray

    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    # Ray's workers step back (nice 15) behind everything else, and beside other work they would hardly move.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # "local" starts one of our own even where another is running.
    context = ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield context.address_info["address"]
    ray.shutdown()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A real S3 server (radosgw) for the session, with its credentials in the environment."""
    if missing := missing_programs():
        skip_or_fail("s3", f"no real S3 server here: {', '.join(missing)} missing (Debian: radosgw ceph-mon ceph-osd)")
    with running_rgw() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        patch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        # The server makes its pools at the first write, which takes seconds; no test shall wait for that.
        client = server.client()
        client.create_bucket(Bucket="warm-up")
        client.put_object(Bucket="warm-up", Key="warm", Body=b"up")
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> str:
    """The name of a new bucket of the test's own."""
    name = f"test-{uuid.uuid4().hex[:16]}"
    s3_server.client().create_bucket(Bucket=name)
    return name
