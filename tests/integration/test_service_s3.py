"""The service over a real S3 server: orders, records, files, map tiles and heights out of a bucket."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from orograph.infra.service.app import create_app
from orograph.infra.service.settings import ServiceSettings
from orograph.infra.stores.gdal_options import gdal_s3_options
from orograph.infra.stores.open import open_store
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
