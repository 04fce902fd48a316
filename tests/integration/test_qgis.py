"""QGIS itself reads the service as docs/how-to/other-programs.md says: WMTS, XYZ tiles and COGs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from orograph.infra.service import shading
from tests.conftest import skip_or_fail
from tests.support.service_world import WEST, World

pytestmark = [pytest.mark.rehearsal, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"
"""QGIS of a distribution comes with a module for the distribution's Python."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("world")
    World(folder, pixel_m=100.0).publish()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "orograph", "serve", "--store", str(folder / "store"), "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urlopen(f"{address}/map/state", timeout=2).close()
            break
        except OSError:
            time.sleep(0.2)
    yield address
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def found(service: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The reading of QGIS, once for all tests."""
    environment = {
        "PATH": os.environ["PATH"],
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(tmp_path_factory.mktemp("home")),
    }
    if subprocess.run([PYTHON, "-c", "import qgis.core"], check=False, env=environment, capture_output=True).returncode:
        skip_or_fail("qgis", "QGIS with python3-qgis is not installed")
    pictures = Path(os.environ.get("OROGRAPH_SCREENSHOTS") or tmp_path_factory.mktemp("pictures"))
    command = [PYTHON, str(ROOT / "tests/support/qgis_client.py"), service, str(pictures)]
    ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


def test_every_layer_of_the_capabilities_is_drawn_where_it_lies(found: dict[str, Any], service: str) -> None:
    with urlopen(f"{service}/map/state") as answer:
        bounds = json.load(answer)["bounds"]
    assert {"relief", "slope", "heights", "difference-glo-30", "difference-fine-dtm"} <= set(found["wmts"])
    for name, layer in found["wmts"].items():
        assert layer["valid"], (name, layer["message"])
        assert layer["crs"] == "EPSG:3857"
        assert layer["box"] == pytest.approx(bounds, abs=1e-6)
        assert (layer["errors"], layer["filled"] > 0.4) == ([], True), (name, layer)
    colours = [tuple(found["wmts"][name]["mean"]) for name in ("relief", "hillshade", "slope", "aspect", "uncertainty")]
    assert len(set(colours)) == len(colours)


def test_legends_are_shown_for_layers_with_colours(found: dict[str, Any]) -> None:
    without = {name for name, layer in found["wmts"].items() if layer["legend"] is None}
    assert without == {"hillshade", "terrain", "heights"}
    assert found["wmts"]["slope"]["legend"][1] == 18 * (1 + len(shading.SLOPE_STOPS))


def test_tiles_by_address_look_like_those_of_wmts(found: dict[str, Any]) -> None:
    assert found["xyz"]["valid"]
    assert found["xyz"]["filled"] == pytest.approx(found["wmts"]["relief"]["filled"], abs=0.02)
    assert found["xyz"]["mean"] == pytest.approx(found["wmts"]["relief"]["mean"], abs=4)


def test_heights_in_qgis_are_those_of_the_service(found: dict[str, Any]) -> None:
    assert found["tile"] == WEST.id
    fields = {"elevation": "height_m", "uncertainty": "uncertainty_m"}
    for name, field in fields.items():
        layer = found["cogs"][name]
        assert layer["valid"], layer
        assert (layer["crs"], layer["nodata"], layer["errors"]) == ("EPSG:3035", -9999.0, [])
        pairs = [(one["qgis"], one["service"].get(field)) for one in layer["values"]]
        assert sum(value is not None for value, _ in pairs) >= 4
        for value, answered in pairs:
            assert value == (None if answered is None else pytest.approx(answered, abs=0.006)), (name, pairs)
    for one in found["cogs"]["source_index"]["values"]:
        assert one["qgis"] == ((one["service"].get("source") or {}).get("index"))
