"""Bits flipped at rest: in sources, assets, manifests and items; disk full; memory; a clock that is off; secrets.

Faults 10, 11, 13, 14, 26 of the list in docs/design/072. What cannot be caught is said there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import resource
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from orograph.infra.engines.attempt import as_orograph_error
from orograph.infra.engines.local import LocalEngine
from orograph.infra.engines.protocol import Status
from orograph.infra.reporting.redaction import redacted
from orograph.infra.reporting.telemetry import JsonFormatter, log_context
from orograph.infra.runs.commit import is_done
from orograph.infra.runs.fetch import Fetcher
from orograph.infra.stores.local import LocalStore
from orograph.infra.stores.s3 import S3Options, S3Store
from orograph.pipeline.errors import (
    CatalogueError,
    DiskFull,
    OrographError,
    OutOfMemory,
    SourceChanged,
    StoreUnwritable,
    TileQuarantined,
)
from orograph.stac.documents import layout
from orograph.stac.documents.schemas import SchemaLibrary
from orograph.stac.verify import verify
from tests.support import runners
from tests.support.catalogue_world import MemoryStore
from tests.support.fault_world import job_of, make_world
from tests.support.rgw import S3Server
from tests.support.tiffs import write_heights
from tests.support.worlds import make_job
from tests.unit.infra.engines.test_local import QUICK

LONG = os.environ.get("OROGRAPH_FAULTS") == "long"
FLIPS = 3200 if LONG else 100


def flipped(data: bytes, generator: random.Random) -> bytes:
    changed = bytearray(data)
    changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def test_every_flipped_bit_of_a_source_is_noticed(tmp_path: Path, answered: Counter[str]) -> None:
    path = write_heights(tmp_path / "a.tif", np.random.default_rng(1).normal(500, 20, (128, 128)))
    fetcher = Fetcher()
    file = fetcher.probe(str(path))
    sound = path.read_bytes()
    generator = random.Random(1)
    for _ in range(FLIPS):
        path.write_bytes(flipped(sound, generator))
        with pytest.raises(SourceChanged):
            fetcher.fetch(file, tmp_path)
        answered["bit flipped in a local source"] += 1
    path.write_bytes(sound)
    assert fetcher.fetch(fetcher.probe(str(path)), tmp_path) == path


@pytest.mark.s3
def test_flipped_bits_of_an_s3_source_are_noticed(
    s3_server: S3Server, s3_bucket: str, tmp_path: Path, answered: Counter[str]
) -> None:
    """The ETag of an object that went up in one piece is its MD5: what arrives is compared with it."""
    path = write_heights(tmp_path / "a.tif", np.random.default_rng(1).normal(500, 20, (128, 128)))
    store = S3Store(f"s3://{s3_bucket}", S3Options(endpoint_url=s3_server.endpoint_url))
    store.put("a.tif", path)
    fetcher = Fetcher(endpoint_url=s3_server.endpoint_url)
    file = fetcher.probe(f"s3://{s3_bucket}/a.tif")
    assert fetcher.fetch(file, tmp_path / "scratch").read_bytes() == path.read_bytes()
    generator = random.Random(2)
    for number in range(max(5, FLIPS // 6)):
        store.put("a.tif", flipped(path.read_bytes(), generator))
        with pytest.raises(SourceChanged):
            fetcher.fetch(file, tmp_path / f"other{number}")
        answered["bit flipped in a source on S3"] += 1


@pytest.fixture(scope="module")
def library(shared: Callable[[str], Path]) -> SchemaLibrary:
    return SchemaLibrary(shared("stac-schemas"))


def test_every_flipped_bit_of_an_asset_is_found_by_verify(library: SchemaLibrary, answered: Counter[str]) -> None:
    store = MemoryStore()
    make_world(store, range(1))
    assets = [key for key in store.objects if key.startswith("tiles/") and not key.endswith(".json")]
    generator = random.Random(3)
    for number in range(max(10, FLIPS // 5)):
        key = assets[number % len(assets)]
        sound = store.objects[key]
        store.objects[key] = flipped(sound, generator)
        report = verify(store, library)
        assert any(problem.kind == "checksum" and problem.key == key for problem in report.problems), key
        answered["bit flipped in an asset"] += 1
        store.objects[key] = sound
    assert verify(store, library).ok


def test_every_flipped_bit_of_a_manifest_is_noticed_by_whoever_reads_it(answered: Counter[str]) -> None:
    """Before it is published as well as after: a manifest tells the sha256 of the rest of it."""
    store = MemoryStore()
    make_world(store, range(1))
    key = job_of(0).manifest_key
    sound = store.objects[key]
    generator = random.Random(4)
    for _ in range(FLIPS):
        store.objects[key] = flipped(sound, generator)
        with pytest.raises(CatalogueError, match=r"manifest\.json is damaged"):
            is_done(store, job_of(0))
        answered["bit flipped in a manifest, on resuming"] += 1
    store.objects[key] = sound
    assert is_done(store, job_of(0)) is not None


@pytest.mark.parametrize("kind", ["manifest", "item", "index"])
def test_every_flipped_bit_of_what_describes_a_tile_is_found_by_verify(
    kind: str, library: SchemaLibrary, answered: Counter[str]
) -> None:
    """Of an item: all but the words of links that only it has (to its parent and its version)."""
    store = MemoryStore()
    make_world(store, range(1))
    places = {
        "manifest": job_of(0).manifest_key,
        "item": layout.item_key("dem-eu", job_of(0).tile.id),
        "index": layout.index_key("dem-eu", layout.block_of(job_of(0).tile.id)),
    }
    key = places[kind]
    sound = store.objects[key]
    generator = random.Random(6)
    for _ in range(max(20, FLIPS // 10)):
        damaged = flipped(sound, generator)
        if kind == "item" and told(damaged) == told(sound):
            continue
        store.objects[key] = damaged
        with contextlib.suppress(CatalogueError):  # a schema of another name is asked for: that is noticing, too
            assert not verify(store, library).ok, difference(sound, damaged)
        answered[f"bit flipped in an {kind}, by verify".replace("an m", "a m")] += 1
    store.objects[key] = sound
    assert verify(store, library).ok


def told(data: bytes) -> object:
    """What an item says, of the links that it does not share with its version only where they lead."""
    try:
        item = json.loads(data)
        own = [link for link in item["links"] if link["rel"] in {"parent", "alternate"}]
        shared = [link for link in item["links"] if link not in own]
        return {**item, "links": [shared, [(link["rel"], link["href"]) for link in own]]}
    except (ValueError, KeyError):
        return data


def difference(sound: bytes, damaged: bytes) -> str:
    at = next(place for place, (a, b) in enumerate(zip(sound, damaged, strict=True)) if a != b)
    return repr(damaged[max(0, at - 40) : at + 20])


def test_a_full_disk_stops_one_tile_and_leaves_nothing_half(tmp_path: Path) -> None:
    """A file-size limit makes write() fail as a full disk does; the next tile goes on."""
    store = LocalStore(tmp_path / "store")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DiskFull) as caught:
            store.put("large", b"x" * 100_000)
        assert caught.value.remedy
        store.put("small", b"x" * 1000, if_absent=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert [info.key for info in store.list()] == ["small"]
    assert not list((tmp_path / "store/.temporary").iterdir())


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OrographError):
        LocalStore(tmp_path / "file").put("a", b"")
    if os.geteuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(StoreUnwritable):
            LocalStore(tmp_path / "closed").put("a", b"")


def test_memory_that_runs_out_is_named_and_tried_once_more() -> None:
    assert isinstance(as_orograph_error(MemoryError("12 GiB")), OutOfMemory)
    jobs = [make_job(0, href="do:hog:"), make_job(1, href="do:nothing:")]
    hog, neighbour = sorted(
        LocalEngine(2, QUICK).run(jobs, runners.told, lambda _: None), key=lambda outcome: outcome.job.tile.id
    )
    assert (hog.status, hog.attempts) == (Status.QUARANTINED, 2)
    assert isinstance(hog.error, TileQuarantined)
    assert "OutOfMemory" in hog.error.message
    assert (hog.error.tile, hog.error.stage) == (hog.job.tile.id, "blend")
    assert neighbour.status is Status.DONE


@pytest.fixture
def small_cage() -> Iterator[Path]:
    """A memory control group of 400 MB below this process's own; its processes are killed by the kernel beyond that."""
    entries = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().splitlines())
    is_first = "memory" in entries
    top = "/sys/fs/cgroup/memory" if is_first else "/sys/fs/cgroup"
    cage = Path(top + entries["memory" if is_first else ""]) / f"orograph-{uuid.uuid4().hex[:8]}"
    try:
        cage.mkdir()
        (cage / ("memory.limit_in_bytes" if is_first else "memory.max")).write_text(str(400 * 2**20))
    except OSError as error:
        with contextlib.suppress(OSError):
            cage.rmdir()
        pytest.skip(f"no memory control group can be made here: {error}")
    yield cage
    deadline = time.monotonic() + 20
    while cage.exists() and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            cage.rmdir()
        time.sleep(0.05)


def test_a_worker_the_kernel_kills_for_its_memory_is_told_from_a_crash(small_cage: Path) -> None:
    jobs = [make_job(0, href=f"do:caged:{small_cage}"), make_job(1, href="do:nothing:"), make_job(2, href="do:kill:")]
    outcomes = LocalEngine(2, QUICK).run(jobs, runners.told, lambda _: None)
    hog, neighbour, crashed = sorted(outcomes, key=lambda outcome: outcome.job.tile.id)
    assert (hog.status, hog.attempts) == (Status.QUARANTINED, 2)
    assert isinstance(hog.error, TileQuarantined)
    assert isinstance(hog.error.__cause__, OutOfMemory)
    assert "operating system killed the worker for its memory" in hog.error.message
    assert (hog.error.tile, hog.error.stage) == (hog.job.tile.id, "blend")
    assert hog.error.remedy is not None
    assert "--workers" in hog.error.remedy
    assert neighbour.status is Status.DONE
    assert crashed.attempts == 3


@pytest.mark.s3
def test_a_clock_that_is_off_is_named(s3_server: S3Server, s3_bucket: str) -> None:
    """Signatures are made by a clock an hour late, as on a machine without time synchronisation."""
    code = (
        "import datetime, botocore.auth, botocore.compat\n"
        "late = lambda remove_tzinfo=True: datetime.datetime.utcnow() - datetime.timedelta(hours=1)\n"
        "botocore.auth.get_current_datetime = late\n"
        "from orograph.infra.stores.s3 import S3Options, S3Store\n"
        "from orograph.pipeline.errors import StoreUnwritable\n"
        f"store = S3Store('s3://{s3_bucket}', S3Options(endpoint_url='{s3_server.endpoint_url}'))\n"
        "try:\n    store.put('a', b'')\nexcept StoreUnwritable as error:\n    print(error)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert "clock is off" in answer.stdout, answer.stderr


SECRETS = {
    "https://bucket.s3.amazonaws.com/a.tif?X-Amz-Signature=0123456789abcdef&X-Amz-Expires=60": "0123456789abcdef",
    "https://x/a?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F2026": "AKIAIOSFODNN7EXAMPLE",
    "https://account.blob.core.windows.net/a.tif?sv=1&sig=abc%2Fdef": "abc%2Fdef",
    "aws_secret_access_key = wJalrXUtnFEMI": "wJalrXUtnFEMI",
    '{"password": "hunter2hunter2"}': "hunter2hunter2",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x": "eyJhbGciOiJIUzI1NiJ9",
    "postgres://me:hunter2@db/x": "hunter2",
    "RAY_AUTH_TOKEN=1234567890abcdef": "1234567890abcdef",
    "api_key: abcdefghijk": "abcdefghijk",
}


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_never_reach_a_log(text: str) -> None:
    secret = SECRETS[text]
    assert secret not in redacted(text)
    record = logging.LogRecord("infra", logging.INFO, "", 0, "reading %s", (text,), None)
    with log_context(run="r", tile="E4300N2650"):
        line = JsonFormatter().format(record)
    assert secret not in line
    assert json.loads(line)["tile"] == "E4300N2650"


def test_what_is_no_secret_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = "tile E4300N2650 read from s3://bucket/key.tif in 3.2 s; 12 tokens? no: see https://a/b?x=1"
    assert redacted(plain) == plain
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "averysecretvalue")
    assert "averysecretvalue" not in redacted("oops averysecretvalue")
