"""Real raylets: a node without the data mount, an incomplete image, and a cluster that grows from nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.support.made import source, write_catalogue
from tests.support.ray_head import RayHead, can_hide_folders, joined_node, running_head

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """One source over 20 tiles, in a folder of its own that a node may lack."""
    folder = tmp_path / "mount"
    folder.mkdir()
    rows, cols = np.mgrid[0:1000, 0:1250]
    heights = (200 + 30 * np.sin(cols / 30) + 30 * np.cos(rows / 40)).astype(np.float32)
    profile = {"driver": "GTiff", "width": 1250, "height": 1000, "count": 1, "dtype": "float32", "nodata": -9999.0}
    transform = rasterio.transform.from_origin(300_000, 5_800_000, 200, 200)
    with rasterio.open(folder / "mid.tif", "w", **profile, crs="EPSG:25832", transform=transform, tiled=True) as file:
        file.write(heights, 1)
    made = source(
        folder / "mid.tif", id="mid", horizontal_crs="EPSG:25832", vertical_frame="EPSG:7837", resolution_m=200.0
    )
    listed = tmp_path / "catalogue.yaml"
    write_catalogue(listed, made)
    return listed


def run(head: RayHead, catalogue: Path, store: Path, pixel_m: str = "200", **environment: str) -> subprocess.Popen[str]:
    arguments = ["run", "-c", str(catalogue), "--area", "6.6,50.6,9.4,52.2", "--pixel-size", pixel_m, "--engine", "ray"]
    command = [sys.executable, "-m", "orograph", *arguments, "--set", "superres=none", "--json", "--store", str(store)]
    environment = head.environment(**{"PYTHONPATH": str(ROOT), "OROGRAPH_LOG": "json", **environment})
    environment["RAY_ADDRESS"] = head.address
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_of(store: Path) -> dict[str, object]:
    (report,) = (store / "runs").glob("*/report.json")
    found: dict[str, object] = json.loads(report.read_text())
    return found


def test_a_node_without_the_data_mount_is_set_aside_and_fails_no_tile(catalogue: Path, tmp_path: Path) -> None:
    if not can_hide_folders():
        pytest.skip("mount namespaces are not allowed here")
    with running_head(cpus=1) as head, joined_node(head, hidden=tmp_path / "mount") as log:
        wait_for(lambda: "Ray runtime started" in log.read_text())
        process = run(head, catalogue, tmp_path / "store")
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err[-4000:]
    report = end_of(tmp_path / "store")
    assert report["tiles"]["failed"] == report["tiles"]["quarantined"] == 0  # type: ignore[index]
    assert report["tiles"]["done"] >= 20  # type: ignore[index]
    (note,) = report["notes"]  # type: ignore[misc]
    assert "was set aside after 3 faults in a row" in note
    assert "SourceMissing" in note
    assert f"{socket.gethostname()} (" in note
    assert note in err
    assert "Traceback" not in err + out


def test_workers_that_cannot_import_end_the_run_with_host_and_cause(catalogue: Path, tmp_path: Path) -> None:
    poison = tmp_path / "poison"
    (poison / "rasterio").mkdir(parents=True)
    (poison / "rasterio/__init__.py").write_text("raise ImportError('libgdal.so.36: cannot open shared object file')")
    with running_head(cpus=0) as head, joined_node(head, cpus=2, PYTHONPATH=f"{poison}:{ROOT}") as log:
        wait_for(lambda: "Ray runtime started" in log.read_text())
        process = run(head, catalogue, tmp_path / "store")
        _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "EngineError" in err
    assert "libgdal.so.36: cannot open shared object file" in err
    assert f"on {socket.gethostname()} (" in err


@pytest.mark.rehearsal
def test_a_cluster_that_grows_from_nothing_is_used_while_the_run_goes_on(catalogue: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with running_head(cpus=0) as head:
        process = run(head, catalogue, store, "25", OROGRAPH_AUTOSCALING="true")
        drained: list[str] = []
        reader = threading.Thread(target=lambda: drained.extend(process.communicate(timeout=600)))
        reader.start()
        time.sleep(8)
        with contextlib.ExitStack() as nodes:
            for _ in range(
                2
            ):  # one after the other: raylets of one host that start together wait for each other's ports
                log = nodes.enter_context(joined_node(head))
                wait_for(lambda log=log: "Ray runtime started" in log.read_text())  # type: ignore[misc]
            took_s = wait_for(lambda: busy_workers() >= 2 or process.poll() is not None)
            reader.join(600)
    assert process.returncode == 0, drained
    report = end_of(store)
    assert report["workers"] == 2
    print(f"both CPUs busy {took_s:.1f} s after two nodes of one CPU joined")
    assert took_s < 20


def busy_workers() -> int:
    """Actors that make a tile now, as Ray names their processes."""
    found = 0
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += entry.read_bytes().startswith(b"ray::TileWorker.run")
    return found


def wait_for(condition: Callable[[], bool], timeout_s: float = 120.0) -> float:
    """Seconds until the condition was met."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < timeout_s
        time.sleep(0.25)
    return time.monotonic() - started
