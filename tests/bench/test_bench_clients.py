"""Nine real clients against `orograph serve`, Ray Serve and static files: list, search, load over a border, order.

    python -m pytest tests/bench/test_bench_clients.py -m bench -s

The tiles are made by `orograph run` from a source of rolling hills, so orders run the whole pipeline.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import yaml

from orograph.infra.service.auth import KeyRing
from orograph.pipeline.core.grid import Tile
from tests.support import stac_browser
from tests.support.catalogue_clients import CLIENTS, PIXEL_M, Place
from tests.support.made import source, write_catalogue, write_source
from tests.support.ray_head import running_head

pytestmark = [pytest.mark.bench, pytest.mark.ray, pytest.mark.filterwarnings("ignore")]

TILES = ("E4200N3000", "E4250N3000")
ORDERS = dict.fromkeys(("serve", "Ray Serve"), ({"tile": "E4300N3000"}, {"tile": "E4300N3050"}))
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two published tiles, and the catalogue of the source of these and their neighbours."""
    folder = tmp_path_factory.mktemp("world")
    west, south, _, _ = Tile.parse(TILES[0]).bounds_m
    path = write_source(folder / "hills.tif", "EPSG:3035", (west, south, west + 150_000, south + 100_000), 100.0)
    made = source(path, resolution_m=100.0)
    write_catalogue(folder / "catalogue.yaml", made)
    words = [
        "run",
        "-c",
        str(folder / "catalogue.yaml"),
        "--pixel-size",
        str(PIXEL_M),
        "--store",
        str(folder / "store"),
    ]
    words += [word for tile in TILES for word in ("--tile", tile)]
    subprocess.run([sys.executable, "-m", "orograph", *words], check=True, capture_output=True)
    return folder


@contextlib.contextmanager
def serving(world: Path) -> Iterator[Place]:
    """`orograph serve` in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", "-c", str(world / "catalogue.yaml"), "--store", str(world / "store"), "--port", str(port)]
    server = subprocess.Popen([sys.executable, "-m", "orograph", *words], stderr=subprocess.DEVNULL)
    try:
        yield answered(place(world, f"http://127.0.0.1:{port}", "serve"))
    finally:
        server.terminate()
        server.wait(20)


@contextlib.contextmanager
def ray_serving(world: Path) -> Iterator[Place]:
    """The deployment of `rayservice.yaml` with one replica, on a head that wants its token."""
    key = KeyRing(world / "keys.json").create("bench", ("read", "run"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "OROGRAPH_STORE": str(world / "store"),
        "OROGRAPH_SERVICE_KEYS_FILE": str(world / "keys.json"),
        "OROGRAPH_SERVICE_CATALOGUE": str(world / "catalogue.yaml"),
        "PYTHONPATH": str(ROOT),
    }
    application: dict[str, object] = {
        "name": "orograph",
        "import_path": "orograph.infra.service.deployment:service",
        "route_prefix": "/",
    }
    application["runtime_env"] = {"env_vars": settings}
    application["deployments"] = [{"name": "OrographService", "num_replicas": 1}]
    config = {"http_options": {"host": "127.0.0.1", "port": port}, "applications": [application]}
    (world / "serve.yaml").write_text(yaml.safe_dump(config))
    with running_head(cpus=2) as head:
        environment = head.environment(RAY_ADDRESS=head.address, **settings)
        words = [sys.executable, "-m", "ray.serve.scripts", "run", "serve.yaml"]
        process = subprocess.Popen(words, env=environment, cwd=world)
        try:
            made = place(world, f"http://127.0.0.1:{port}", "Ray Serve")
            yield answered(replace(made, headers={"X-API-Key": key}))
        finally:
            process.terminate()
            process.wait(30)


def place(world: Path, address: str | None, name: str = "", catalogue: str = "") -> Place:
    _, south, east, _ = Tile.parse(TILES[0]).bounds_m
    across_m = (east - 10_000, south + 2_000, east + 10_000, south + 8_000)
    return Place(catalogue or f"{address}/stac/", address, world / "store", TILES, across_m, ORDERS.get(name, ()))


def answered(made: Place, timeout_s: float = 180.0) -> Place:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(made.catalogue, timeout=10).status_code == 200:
                return made
        time.sleep(0.5)
    raise TimeoutError(made.catalogue)


def table_row(name: str, made: Place, faults: list[str]) -> dict[str, str]:
    """Verdict of every client at one place."""
    row = {}
    for client, work in CLIENTS.items():
        try:
            row[client] = work(made) or "not applicable"
        except Exception:  # noqa: BLE001 - a table of verdicts; the faults are printed
            row[client] = "FAILS"
            faults.append(f"{name}, {client}:\n{traceback.format_exc(limit=-4)}")
    if made.catalogue.startswith("http") and not stac_browser.missing():
        shots = os.environ.get("OROGRAPH_SCREENSHOTS")
        with stac_browser.browser_page() as page:
            picture = Path(shots) / f"browser_{name.replace(' ', '_')}.png" if shots else None
            try:
                row["STAC Browser"] = stac_browser.stac_browser(made, page, picture)
            except Exception:  # noqa: BLE001
                row["STAC Browser"] = "FAILS"
                faults.append(f"{name}, STAC Browser:\n{traceback.format_exc(limit=-4)}")
                if picture is not None:
                    page.screenshot(path=picture)
    else:
        row["STAC Browser"] = stac_browser.missing() or "not applicable"
    return row


def test_nine_clients(world: Path) -> None:
    faults: list[str] = []
    rows: dict[str, dict[str, str]] = {}
    with ray_serving(world) as made:
        rows["Ray Serve"] = table_row("Ray Serve", made, faults)
    with serving(world) as made:
        static = place(world, None, catalogue=f"{made.service}/files/stac/catalog.json")
        folder = place(world, None, catalogue=str(world / "store/stac/catalog.json"))
        rows["static folder"] = table_row("static folder", folder, faults)
        rows["static over HTTP"] = table_row("static over HTTP", static, faults)
        rows["serve"] = table_row("serve", made, faults)
    names = [*CLIENTS, "STAC Browser"]
    print("\n| client | " + " | ".join(rows) + " |")
    print("|---|" + "---|" * len(rows))
    for client in names:
        print(f"| {client} | " + " | ".join(row[client] for row in rows.values()) + " |")
    good = sum(not any("FAILS" in row[client] for row in rows.values()) for client in names)
    print(f"{good} of {len(names)} clients\n" + "\n".join(faults))
    assert faults == []
