"""A real S3 server behind a proxy that spoils the n-th request: lost replies, 5xx, 429, 409, cut bodies, silence.

Faults 4, 5, 8, 9, 22 of the list in docs/design/072.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from typing import Any

import pytest

from orograph.infra.stores.retry import Backoff
from orograph.infra.stores.s3 import S3Options, S3Store
from orograph.pipeline.errors import ObjectExists, PreconditionFailed
from tests.support.catalogue_world import MemoryStore
from tests.support.fault_world import half_published, make_world, snapshot
from tests.support.faulty_proxy import FAULTS, FaultyProxy
from tests.support.rgw import S3Server

pytestmark = pytest.mark.s3

QUICK = Backoff(attempts=6, first_s=0.01, longest_s=0.05)
STRIDE = 1 if os.environ.get("OROGRAPH_FAULTS") == "long" else 24


def store_behind(proxy: FaultyProxy, bucket: str, prefix: str = "") -> S3Store:
    # Short only where the fault is silence: a busy machine answers late, too.
    options = S3Options(endpoint_url=proxy.url, read_timeout_s=1.0 if proxy.fault == "hang" else 30.0)
    return S3Store(f"s3://{bucket}/{prefix}", options, QUICK)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_conditional_put_survives_a_lost_reply(fault: str, s3_server: S3Server, s3_bucket: str) -> None:
    with FaultyProxy(s3_server.endpoint_url, at=1, fault=fault, only="PUT") as proxy:
        store = store_behind(proxy, s3_bucket)
        first = store.put("new", b"ours", if_absent=True)
        assert proxy.fired == 1
        assert store.get("new") == b"ours"
        proxy.count = 0
        second = store.put("new", b"ours again", if_match=first.etag)
        assert proxy.fired == 2
        assert store.head("new") == second
        proxy.count = 0
        with pytest.raises(ObjectExists):
            store.put("new", b"theirs", if_absent=True)
        proxy.count = 0
        with pytest.raises(PreconditionFailed):
            store.put("new", b"theirs", if_match=first.etag)
        assert store.get("new") == b"ours again"


@pytest.fixture(scope="module")
def undisturbed(s3_server: S3Server) -> tuple[dict[str, str], int]:
    """Objects of a run without faults, and its number of requests."""
    bucket = f"plain-{uuid.uuid4().hex[:16]}"
    s3_server.client().create_bucket(Bucket=bucket)
    with FaultyProxy(s3_server.endpoint_url) as proxy:
        plain = store_behind(proxy, bucket)
        make_world(plain, range(1))
        requests = proxy.count
        made = snapshot(plain)
    memory = MemoryStore()
    make_world(memory, range(1))
    assert snapshot(memory) == made, "memory and bucket contain the same bytes"
    return made, requests


@pytest.mark.parametrize("fault", FAULTS)
def test_any_request_of_a_run_may_fail_once(
    fault: str,
    undisturbed: tuple[dict[str, str], int],
    s3_server: S3Server,
    s3_bucket: str,
    answered: Counter[str],
) -> None:
    """The run heals by itself: nobody has to resume."""
    made, requests = undisturbed
    offset = 1 + FAULTS.index(fault) % STRIDE
    for at in range(offset, requests + 1, STRIDE if fault != "hang" else STRIDE * 2):
        with FaultyProxy(s3_server.endpoint_url, at=at, fault=fault) as proxy:
            store: Any = store_behind(proxy, s3_bucket, f"{fault}-{at}")
            make_world(store, range(1))
            assert proxy.fired == 1
            proxy.at = 0
            assert half_published(store) == []
            assert snapshot(store) == made, f"request {at}"
            answered[f"S3 request: {fault}"] += 1
