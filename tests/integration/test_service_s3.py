"""The service over a real S3 server: orders, records, files, map tiles and heights out of a bucket."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from orograph.infra.service.app import create_app
from orograph.infra.service.assemble import parts_from
from orograph.infra.service.settings import ServiceSettings
from orograph.infra.stores.gdal_options import gdal_s3_options
from orograph.infra.stores.open import open_store
from orograph.pipeline.settings import RunSettings
from tests.support.service_world import UNPUBLISHED, WEST, Engine, World

ORDER = "/processes/reprocess-tile/execution"

pytestmark = [pytest.mark.s3, pytest.mark.timeout(240)]


def test_a_bucket_serves_as_well_as_a_folder(
    s3_server: Any, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in gdal_s3_options(s3_server.endpoint_url).items():
        monkeypatch.setenv(name, value)
    store = open_store(f"s3://{s3_bucket}/terrain", endpoint_url=s3_server.endpoint_url)
    world = World(tmp_path, pixel_m=500.0, store=store)
    world.publish(WEST)
    engine = Engine()
    settings = ServiceSettings(allowed_hosts=("testserver",))
    with TestClient(create_app(settings, world.parts(engine))) as client:
        asynchronous = {"prefer": "respond-async"}
        answers = [
            client.post(ORDER, json={"inputs": {"tile": UNPUBLISHED.id}}, headers=asynchronous) for _ in range(3)
        ]
        assert len({answer.json()["jobID"] for answer in answers}) == 1
        location = answers[0].headers["location"]
        deadline = time.monotonic() + 60
        while client.get(location).json()["status"] != "successful" and time.monotonic() < deadline:
            time.sleep(0.1)
        results = client.get(f"{location}/results").json()
        item = client.get(results["item"]["href"]).json()
        assert item["id"] == UNPUBLISHED.id
        assert len(engine.ran) == 1
        west, south, east, north = item["bbox"]
        point = client.get("/map/point", params={"lon": (west + east) / 2, "lat": (south + north) / 2}).json()
        assert 250 <= point["height_m"] <= 2600
        assert client.get("/map/relief/8/134/89.png").status_code == 200
        key = next(info.key for info in store.list("tiles/") if info.key.endswith("elevation.tif"))
        part = client.get(f"/files/{key}", headers={"range": "bytes=0-1"})
        assert (part.status_code, part.content) == (206, b"II")


def test_a_public_bucket_is_served_without_credentials(
    s3_server: Any, s3_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    World(tmp_path, 500.0, open_store(f"s3://{s3_bucket}/t", endpoint_url=s3_server.endpoint_url)).publish(WEST)
    resources = [f"arn:aws:s3:::{s3_bucket}{below}" for below in ("", "/*")]
    allowed = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": resources}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    s3_server.client().put_bucket_policy(Bucket=s3_bucket, Policy=policy)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    public = {"store": f"s3://{s3_bucket}/t", "s3_endpoint_url": s3_server.endpoint_url, "s3_anonymous": True}
    with monkeypatch.context() as patch:
        for name, value in gdal_s3_options(s3_server.endpoint_url, anonymous=True).items():
            patch.setenv(name, value)
        parts = parts_from(RunSettings.with_flags(**public))
        with TestClient(create_app(ServiceSettings(allowed_hosts=("testserver",)), parts)) as client:
            item = client.get("/stac/search").json()["features"][0]
            west, south, east, north = item["bbox"]
            place = {"lon": (west + east) / 2, "lat": (south + north) / 2}
            assert client.get("/map/point", params=place).json()["height_m"] > 0
            assert client.get("/readyz").json() == {"status": "ok", "store": "read-only"}
            answer = client.post(ORDER, json={"inputs": {"tile": UNPUBLISHED.id}})
            assert (answer.status_code, answer.json()["title"]) == (503, "Read-Only Store")
