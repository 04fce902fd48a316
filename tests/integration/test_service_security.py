"""What the service must refuse, and how: SSRF forms, fuzzed ids and bodies, floods, secrets in logs."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from orograph.infra.reporting.redaction import RedactingFilter, redacted
from orograph.infra.service.app import create_app
from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline.errors import ConfigError
from tests.support.service_world import WEST, Engine, World

ORDER = "/processes/reprocess-tile/execution"

SSRF = (
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254.nip.io/",
    "http://[::ffff:169.254.169.254]/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://localhost:6379/",
    "http://127.0.0.1:8080/jobs",
    "http://127.1/",
    "http://0/",
    "http://[::1]/",
    "http://0.0.0.0:22/",
    "http://user:pass@127.0.0.1/",
    "https://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://example.com\\@127.0.0.1/",
    "//127.0.0.1/x.tif",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "/etc/passwd",
    "../../etc/passwd",
    "/vsicurl/http://169.254.169.254/",
    "/vsis3/bucket/key",
    "/vsizip//vsicurl/http://127.0.0.1/x.zip/a.tif",
    "/vsimem/x",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stats",
    "ftp://127.0.0.1/x",
    "s3://other-bucket/secret.tif",
    "data:text/plain;base64,eA==",
    "jar:http://127.0.0.1!/x",
    "<VRTDataset><SourceFilename>/etc/passwd</SourceFilename></VRTDataset>",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"), pixel_m=500.0)
    made.publish(WEST)
    return made


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="module")
def client(world: World, engine: Engine) -> Iterator[TestClient]:
    settings = ServiceSettings(allowed_hosts=("testserver",), orders_per_minute=100_000, reads_per_minute=100_000)
    with TestClient(create_app(settings, world.parts(engine)), raise_server_exceptions=False) as made:
        yield made


def assert_refused(answer: Any, text: str) -> None:
    assert answer.status_code in {404, 405, 413, 414, 415, 422}, (answer.status_code, text)
    if answer.status_code == 422 or answer.headers.get("content-type") == "application/problem+json":
        assert answer.json()["status"] == answer.status_code
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("text", SSRF)
def test_no_form_of_url_reaches_anything(client: TestClient, engine: Engine, world: World, text: str) -> None:
    planned, ran = len(world.planned), len(engine.ran)
    bodies: list[dict[str, Any]] = [
        {"inputs": {"tile": text}},
        {"inputs": {"tile": WEST.id, "sources": [text]}},
        {"inputs": {"tile": WEST.id, "settings": {"superres": text}}},
        {"inputs": {"tile": WEST.id, "settings": {"coregistration": text}}},
        {"inputs": {"tile": WEST.id, "sources": [{"href": text}]}},
        {"inputs": {"tile": WEST.id, "href": text}},
        {"inputs": {"tile": WEST.id}, "subscriber": {"successUri": text}},
        {"inputs": {"tile": {"href": text}}},
    ]
    for body in bodies:
        assert_refused(client.post(ORDER, json=body), text)
    assert_refused(client.get("/map/raw/" + text + "/relief/9/270/180.png"), text)
    assert_refused(client.get("/files/" + text), text)
    assert (len(world.planned), len(engine.ran)) == (planned, ran)


def as_it_is(client: TestClient, path: str) -> int:
    """Status of a GET whose path arrives undisturbed: clients tidy dots and slashes away before they send."""
    statuses: list[int] = []
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ("192.0.2.1", 1),
        "server": ("testserver", 80),
    }

    async def ask() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await client.app(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(ask())
    return statuses[0]


def fuzzed(count: int) -> Iterator[str]:
    rng = random.Random(18)
    alphabet = "E4300N2650/\\.%2e\0\n\r\t;'\"<>{}$`|&é漢🗻\u202e\ufeff-_ "
    known = (
        "../x",
        "%2e%2e%2f",
        "E4300N2650/../../service",
        "E4300N265O",
        "e4300n2650",
        "E4300N2651",
        "E9900N2650",
        "E٤٣٠٠N2650",
        "E4300N2650\n",
        "E4300N2650\0",
        "E4300N2650.json",
        "A" * 10_000,
        "",
        " ",
        "null",
        "-1",
        "1e9",
    )
    yield from known
    for _ in range(count - len(known)):
        yield "".join(rng.choices(alphabet, k=rng.randint(1, 40)))


def test_a_thousand_fuzzed_ids_are_all_refused_well(client: TestClient, engine: Engine) -> None:
    before = len(engine.ran)
    # Every text is ordered, and asked of one path in turn.
    paths = itertools.cycle(("/jobs/{}", "/files/{}", "/files/tiles/{}", "/map/raw/{}/relief/9/1/1.png"))
    for text in fuzzed(1000):
        if text == "E4300N2650":
            continue
        answer = client.post(ORDER, json={"inputs": {"tile": text}})
        assert answer.status_code == 422, (text, answer.status_code)
        if text:
            path = next(paths).format(text)
            # 204: well written, and no tile is made of such a source.
            assert as_it_is(client, path) in {404, 414, 422} | ({204} if "/raw/" in path else set()), path
    assert len(engine.ran) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"inputs":null}',
        b'{"inputs":{"tile":"E4300N2650","settings":{"pixel_size_m":0.5}}}',
        b'{"inputs":{"tile":"E4300N2650","settings":{"max_shift_m":1e999}}}',
        b'{"inputs":{"tile":"E4300N2650","settings":{"max_shift_m":NaN}}}',
        b'{"inputs":{"tile":"E4300N2650","sources":' + json.dumps(["a"] * 100).encode() + b"}}",
        b'{"inputs":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
)
def test_bad_bodies_are_problems(client: TestClient, body: bytes) -> None:
    answer = client.post(ORDER, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text[:200]
    assert answer.headers["content-type"] == "application/problem+json"


def test_sizes_are_bounded(client: TestClient) -> None:
    large = b'{"inputs":{"tile":"' + b"x" * 200_000 + b'"}}'
    headers = {"content-type": "application/json"}
    assert client.post(ORDER, content=large, headers=headers).status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 10_000

    assert client.post(ORDER, content=pieces(), headers=headers).status_code == 413
    assert client.get("/jobs?tile=" + "x" * 20_000).status_code == 414


def test_schemathesis_finds_no_fault_in_the_description(client: TestClient) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import strategies as st

    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    cases = st.one_of([operation.as_strategy() for operation in operations if "events" not in operation.path])
    counted = 0

    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def check(case: Any) -> None:
        nonlocal counted
        arguments = case.as_transport_kwargs(base_url="http://testserver")
        arguments = {
            name: value
            for name, value in arguments.items()
            if name in {"method", "url", "params", "headers", "json", "content", "data"} and value is not None
        }
        if "data" in arguments and isinstance(arguments["data"], bytes | str):
            arguments["content"] = arguments.pop("data")
        try:
            answer = client.request(**arguments)
        except (UnicodeEncodeError, ValueError, TypeError):
            return  # the client itself cannot write such a request
        assert answer.status_code < 500 or answer.status_code == 503, (arguments, answer.text[:300])
        if answer.status_code >= 400 and answer.headers.get("content-type") == "application/problem+json":
            assert answer.json()["status"] == answer.status_code
        counted += 1

    check()
    assert counted > 50


def test_secrets_stay_out_of_logs() -> None:
    lines = (
        "key oro_0123abcd_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq was used",
        "Authorization: Bearer abcdefghijklmnop0123456789",
        "{'x-api-key': 'very-secret-thing-0123'}",
        "GET https://b.s3.amazonaws.com/k?X-Amz-Credential=AKIAABCDEFGHIJKLMNOP%2Fx&X-Amz-Signature=deadbeefdeadbeef",
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "postgres://orograph:hunter2hunter2@db/x",
        "token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
        "password = hunter2hunter2",
    )
    secrets = (
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabc",
        "abcdefghijklmnop0123",
        "very-secret",
        "deadbeef",
        "wJalrX",
        "hunter2",
        "c2lnbmF0dXJl",
        "AKIAABCD",
    )
    for line in lines:
        record = logging.LogRecord("x", logging.INFO, "f", 1, "%s", (line,), None)
        assert RedactingFilter().filter(record)
        assert not any(secret in record.getMessage() for secret in secrets), record.getMessage()
    plain = "tile E4300N2650 made from glo-30 in 3.2 s, key tiles/E4300N2650/0123/elevation.tif"
    assert redacted(plain) == plain


def test_an_open_service_stays_at_home() -> None:
    with pytest.raises(ConfigError, match="everyone"):
        ServiceSettings(host="0.0.0.0", auth="off")
    assert ServiceSettings(host="0.0.0.0").who == "run"
    assert ServiceSettings(host="127.0.0.1").who == "off"
