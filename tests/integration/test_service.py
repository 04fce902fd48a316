"""The service end to end over a made store: orders, jobs, files, search, map tiles, heights."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from orograph.infra.service.app import create_app
from orograph.infra.service.auth import KeyRing
from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline.errors import OrographError, OutOfMemory, SourceMissing
from tests.support.service_world import EAST, NOWHERE, UNPUBLISHED, WEST, Engine, World

ORDER = "/processes/reprocess-tile/execution"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"), pixel_m=200.0)
    made.publish()
    return made


def settings(**changes: Any) -> ServiceSettings:
    return ServiceSettings(**{"allowed_hosts": ("testserver",), "orders_per_minute": 10_000, **changes})


@pytest.fixture(scope="module")
def client(world: World) -> Iterator[TestClient]:
    with TestClient(create_app(settings(), world.parts())) as made:
        yield made


def order(client: TestClient, tile: str, **headers: str) -> Any:
    return client.post(ORDER, json={"inputs": {"tile": tile}}, headers={"prefer": "respond-async", **headers})


def ended(client: TestClient, location: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        document: dict[str, Any] = client.get(location).json()
        if document["status"] not in {"accepted", "running"}:
            return document
        time.sleep(0.02)
    raise AssertionError(f"not ended: {document}")


def centre(client: TestClient) -> tuple[float, float]:
    west, south, east, north = client.get("/map/state").json()["bounds"]
    return west + 0.45 * (east - west), (south + north) / 2


def test_landing_page_answers_programs_with_links_and_people_with_the_page(client: TestClient) -> None:
    links = {link["rel"] for link in client.get("/").json()["links"]}
    assert {"self", "service-desc", "search", "http://www.opengis.net/def/rel/ogc/1.0/processes"} <= links
    page = client.get("/", headers={"accept": "text/html,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_the_process_describes_its_inputs_by_schema(client: TestClient) -> None:
    document = client.get("/processes/reprocess-tile").json()
    assert document["inputs"]["tile"]["schema"]["pattern"] == "^E[0-9]{4}N[0-9]{4}$"
    assert "async-execute" in document["jobControlOptions"]
    assert client.get("/processes/other").json()["type"].endswith("no-such-process")


def test_an_up_to_date_tile_is_answered_with_its_item_at_once(client: TestClient) -> None:
    answer = order(client, WEST.id)
    assert answer.status_code == 200
    assert answer.json()["status"] == "successful"
    item = next(link for link in answer.json()["links"] if link["rel"] == "item")
    assert client.get(item["href"]).json()["id"] == WEST.id


def test_an_order_runs_publishes_and_reports(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    with TestClient(create_app(settings(), world.parts())) as client:
        answer = order(client, UNPUBLISHED.id, prefer="respond-async")
        assert answer.status_code == 201
        assert answer.headers["preference-applied"] == "respond-async"
        location = answer.headers["location"]
        with client.stream("GET", f"{location}/events") as stream:
            lines = [line for line in stream.iter_lines() if line.startswith("event:")]
        assert lines
        document = ended(client, location)
        assert (document["status"], document["progress"]) == ("successful", 100)
        results = client.get(f"{location}/results").json()
        assert client.get(results["item"]["href"]).json()["properties"]["dem:run_key"] == document["runKey"]
        assert client.get(results["manifest"]["href"]).json()["tile"] == UNPUBLISHED.id
        found = client.post("/stac/search", json={"ids": [UNPUBLISHED.id]}).json()
        assert [feature["id"] for feature in found["features"]] == [UNPUBLISHED.id]


def test_equal_orders_at_one_moment_are_one_run(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    engine = Engine(open_=False)
    with TestClient(create_app(settings(), world.parts(engine))) as client:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: order(client, UNPUBLISHED.id), range(24)))
        assert {answer.json()["jobID"] for answer in answers} == {answers[0].json()["jobID"]}
        assert sorted(answer.status_code for answer in answers) == [200] * 23 + [201]
        engine.gate.set()
        ended(client, answers[0].headers["location"])
        assert len(engine.ran) == 1
        assert order(client, UNPUBLISHED.id).json()["status"] == "successful"
        assert len(engine.ran) == 1


class SlowWorld(World):
    """Sources that answer when the gate is opened."""

    gate = threading.Event()
    error: Exception | None = None

    def plan(self, *order: Any) -> Any:
        self.gate.wait(30)
        if self.error is not None:
            raise self.error
        return super().plan(*order)


def test_an_order_is_taken_at_once_and_planned_within_its_job(tmp_path: Path) -> None:
    world, engine = SlowWorld(tmp_path, pixel_m=500.0), Engine()
    world.gate = threading.Event()
    with TestClient(create_app(settings(plan_timeout_s=0.05), world.parts(engine))) as client:
        begun = time.monotonic()
        answers = [order(client, UNPUBLISHED.id) for _ in range(3)]
        assert time.monotonic() - begun < 10
        assert [answer.status_code for answer in answers] == [201, 200, 200]
        assert len({answer.json()["jobID"] for answer in answers}) == 1
        world.gate.set()
        assert ended(client, answers[0].headers["location"])["status"] == "successful"
        assert len(engine.ran) == 1


def test_an_order_that_cannot_be_planned_fails_and_says_why(tmp_path: Path) -> None:
    world = SlowWorld(tmp_path, pixel_m=500.0)
    world.gate, world.error = threading.Event(), SourceMissing("nothing there", source="s", remedy="look again")
    with TestClient(create_app(settings(plan_timeout_s=0.05), world.parts())) as client:
        answer = order(client, UNPUBLISHED.id)
        assert answer.status_code == 201
        world.gate.set()
        document = ended(client, answer.headers["location"])
        assert document["status"] == "failed"
        assert "nothing there" in document["message"]


def test_two_services_over_one_store_run_an_order_once(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    engine = Engine(open_=False)
    apps = [create_app(settings(), world.parts(engine)) for _ in range(2)]
    with TestClient(apps[0]) as first, TestClient(apps[1]) as second:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: order((first, second)[n % 2], UNPUBLISHED.id), range(8)))
        assert len({answer.json()["jobID"] for answer in answers}) == 1
        assert [answer.status_code for answer in answers].count(201) == 1
        engine.gate.set()
        ended(second, answers[0].headers["location"])
        ended(first, answers[0].headers["location"])
        assert len(engine.ran) == 1


def test_an_idempotency_key_means_that_very_job(client: TestClient) -> None:
    first = order(client, EAST.id, **{"idempotency-key": "a"})
    again = order(client, EAST.id, **{"idempotency-key": "a"})
    other = order(client, EAST.id, **{"idempotency-key": "b"})
    assert first.json()["jobID"] == again.json()["jobID"] != other.json()["jobID"]
    assert order(client, EAST.id, **{"idempotency-key": "x" * 200}).status_code == 422


def test_a_changed_source_makes_the_tile_due_again(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    world.publish(WEST)
    with TestClient(create_app(settings(), world.parts())) as client:
        assert order(client, WEST.id).status_code == 200
    world.source_version = "2"
    with TestClient(create_app(settings(), world.parts())) as client:
        answer = order(client, WEST.id)
        assert answer.status_code == 201
        assert ended(client, answer.headers["location"])["status"] == "successful"


def test_records_survive_a_restart_and_unfinished_jobs_are_taken_up(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    with TestClient(create_app(settings(lease_s=0.6), world.parts(Engine(open_=False)))) as client:
        location = order(client, UNPUBLISHED.id).headers["location"]
        assert client.get(location).json()["status"] in {"accepted", "running"}
    with TestClient(create_app(settings(lease_s=0.6), world.parts())) as client:
        document = ended(client, location)
        assert document["status"] == "successful"
        assert any(job["jobID"] == document["jobID"] for job in client.get("/jobs").json()["jobs"])


def test_a_failed_job_tells_why_without_secrets_and_can_be_ordered_again(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    engine = Engine()
    engine.error = OutOfMemory("killed at https://h/x?X-Amz-Signature=abcdef0123456789", stage="regrid")
    with TestClient(create_app(settings(), world.parts(engine))) as client:
        location = order(client, UNPUBLISHED.id).headers["location"]
        document = ended(client, location)
        assert (document["status"], document["stage"]) == ("failed", "regrid")
        assert "abcdef" not in client.get(location).text
        problem = client.get(f"{location}/results")
        assert problem.status_code == 500
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json()["type"].endswith("OutOfMemory")
        engine.error = None
        again = order(client, UNPUBLISHED.id)
        assert again.headers["location"] == location
        assert ended(client, location)["status"] == "successful"


def test_dismissal_stops_a_running_job(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    engine = Engine(open_=False)
    with TestClient(create_app(settings(), world.parts(engine))) as client:
        location = order(client, UNPUBLISHED.id).headers["location"]
        assert client.get(f"{location}/results").json()["type"].endswith("result-not-ready")
        assert client.delete(location).json()["status"] == "dismissed"
        time.sleep(0.2)
        engine.gate.set()
        assert engine.ran == []
        assert client.get(location).json()["status"] == "dismissed"
        assert client.delete(location).status_code == 200
        assert client.get(location).status_code == 404


def test_a_full_queue_answers_503_and_leaves_no_record(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    engine = Engine(open_=False)
    with TestClient(create_app(settings(queue_limit=1), world.parts(engine))) as client:
        answers = [order(client, UNPUBLISHED.id, **{"idempotency-key": str(n)}) for n in range(6)]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert refused
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        accepted = {answer.json()["jobID"] for answer in answers if answer.status_code == 201}
        assert {job["jobID"] for job in client.get("/jobs").json()["jobs"]} == accepted
        engine.gate.set()


def test_rates_answer_429(world: World) -> None:
    with TestClient(create_app(settings(orders_per_minute=3), world.parts())) as client:
        codes = [order(client, WEST.id).status_code for _ in range(5)]
        assert codes == [200, 200, 200, 429, 429]


def test_an_order_for_a_place_without_data_is_refused(client: TestClient) -> None:
    answer = order(client, NOWHERE.id)
    assert answer.status_code == 422
    assert answer.json()["error"] == "OutsideCoverage"


def test_keys_open_what_their_scopes_say(world: World, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    reader, runner = ring.create("r", ("read",)), ring.create("w", ("read", "run"))
    chosen = settings(host="0.0.0.0", auth="all", keys_file=tmp_path / "keys.json")
    with TestClient(create_app(chosen, world.parts())) as client:
        for path in ("/jobs", "/map/state", "/files/stac/catalog.json", "/stac/collections"):
            assert client.get(path).status_code == 401, path
            assert client.get(path, headers={"x-api-key": reader}).status_code == 200, path
        assert order(client, WEST.id).status_code == 401
        assert order(client, WEST.id, **{"x-api-key": reader}).status_code == 403
        assert order(client, WEST.id, authorization=f"Bearer {runner}").status_code == 200
        assert order(client, WEST.id, authorization=f"Bearer {runner[:-1]}x").status_code == 401


def test_another_page_may_read_but_not_order(client: TestClient) -> None:
    origin = {"origin": "https://elsewhere.example"}
    read = client.get("/files/stac/catalog.json", headers=origin)
    assert read.headers["access-control-allow-origin"] == "*"
    asks = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    assert client.options(ORDER, headers=asks).status_code == 403
    form = client.post(
        ORDER, content='{"inputs":{"tile":"E4300N2650"}}', headers={**origin, "content-type": "text/plain"}
    )
    assert form.status_code in {415, 422}
    assert client.get("/", headers={"host": "rebound.example"}).status_code == 400


@pytest.mark.parametrize("layer", ["relief", "hillshade", "uncertainty", "source", "terrain", "raw/glo-30/relief"])
def test_map_tiles_show_something_and_are_cached(client: TestClient, layer: str) -> None:
    lon, lat = centre(client)
    zoom = 9
    x = int((lon + 180) / 360 * 2**zoom)
    y = int((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 2**zoom)
    answer = client.get(f"/map/{layer}/{zoom}/{x}/{y}.png")
    assert answer.status_code == 200, answer.text[:300]
    pixels = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert pixels.shape == (512, 512, 3 if layer == "terrain" else 4)
    assert pixels[..., 0].std() > 3 or pixels[..., 1].std() > 3
    again = client.get(f"/map/{layer}/{zoom}/{x}/{y}.png", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_terrain_tiles_hold_the_heights(client: TestClient) -> None:
    lon, lat = centre(client)
    zoom = 9
    column = (lon + 180) / 360 * 2**zoom
    row = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 2**zoom
    body = client.get(f"/map/terrain/{zoom}/{int(column)}/{int(row)}.png").content
    red, green, blue = np.asarray(Image.open(io.BytesIO(body)))[int(row % 1 * 512), int(column % 1 * 512)].astype(float)
    height = client.get("/map/point", params={"lon": lon, "lat": lat}).json()["height_m"]
    assert abs(red * 256 + green + blue / 256 - 32768 - height) < 60  # one pixel of 200 m on steep ground


def test_nothing_there_is_no_error(client: TestClient) -> None:
    assert client.get("/map/relief/9/0/0.png").status_code == 204
    assert client.get("/map/relief/3/0/0.png").status_code == 404
    assert client.get("/map/point", params={"lon": 0, "lat": 0}).json()["height_m"] is None


def test_a_profile_crosses_tiles_and_voids(client: TestClient) -> None:
    west, south, east, north = client.get("/map/state").json()["bounds"]
    middle = (south + north) / 2
    line = f"{west - 0.2},{middle};{east - 0.05},{middle}"
    found = client.get("/map/profile", params={"line": line, "samples": 200}).json()
    heights = [h for h in found["height_m"] if h is not None]
    assert found["height_m"][0] is None
    assert 100 < len(heights) < 200
    assert {"glo-30", "fine-dtm"} <= set(found["source"])
    assert len(found["distance_m"]) == 200


def test_the_profile_agrees_with_the_point(client: TestClient) -> None:
    lon, lat = centre(client)
    line = f"{lon},{lat};{lon + 0.001},{lat}"
    along = client.get("/map/profile", params={"line": line, "samples": 2}).json()
    point = client.get("/map/point", params={"lon": lon, "lat": lat}).json()
    assert along["height_m"][0] == pytest.approx(point["height_m"], abs=0.011)


def test_files_come_whole_in_parts_and_never_private(client: TestClient, world: World) -> None:
    key = next(info.key for info in world.store.list("tiles/") if info.key.endswith("elevation.tif"))
    whole = client.get(f"/files/{key}")
    part = client.get(f"/files/{key}", headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert "sandbox" in whole.headers["content-security-policy"]
    order(client, WEST.id)
    private = [info.key for info in world.store.list("service/")]
    assert private
    assert {client.get(f"/files/{key}").status_code for key in private} == {404}


def test_the_tile_grid_shows_states(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    world.publish(WEST)
    engine = Engine(open_=False)
    with TestClient(create_app(settings(), world.parts(engine))) as client:
        order(client, UNPUBLISHED.id)
        features = {f["id"]: f["properties"]["state"] for f in client.get("/map/tiles").json()["features"]}
        assert features[WEST.id] == "published"
        assert features[UNPUBLISHED.id] in {"accepted", "running"}
        engine.gate.set()


def test_a_failed_order_does_not_mark_a_good_tile(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    world.publish(WEST)
    world.source_version = "2"
    engine = Engine()
    engine.error = OrographError("the order fails", tile=WEST.id)
    with TestClient(create_app(settings(), world.parts(engine))) as client:
        location = order(client, WEST.id).headers["location"]
        assert ended(client, location)["status"] == "failed"
        features = {f["id"]: f["properties"]["state"] for f in client.get("/map/tiles").json()["features"]}
        assert features == {WEST.id: "published"}


def test_progress_streams_are_bounded(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    engine = Engine(open_=False)
    with TestClient(create_app(settings(event_streams=1), world.parts(engine))) as client:
        location = order(client, UNPUBLISHED.id).headers["location"]
        opened = threading.Event()
        codes: list[int] = []

        def listen() -> None:
            with client.stream("GET", f"{location}/events") as stream:
                opened.set()
                codes.append(stream.status_code)
                for _ in stream.iter_lines():
                    pass

        listener = threading.Thread(target=listen)
        listener.start()
        assert opened.wait(10)
        assert client.get(f"{location}/events").status_code == 503
        engine.gate.set()
        listener.join(20)
        assert codes == [200]
        assert client.get(f"{location}/events").status_code == 200
