"""The GPU script on machines without one: every section on the processor and on the second device, at tiny sizes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.gpu.run import SHARES_S, finished, run, table
from tests.bench.gpu.section import measured
from tests.conftest import skip_or_fail
from tests.support import twin_device

ROOT = Path(__file__).resolve().parents[2]


def test_the_quick_sections_run_on_the_processor(tmp_path):
    for name in ("accuracy", "throughput"):
        measured(name, "cpu", 60.0, tmp_path, tmp_path, small=True)
        assert json.loads((tmp_path / f"{name}.json").read_text())
    accuracy = json.loads((tmp_path / "accuracy.json").read_text())
    assert all(row["ok"] for row in accuracy.values())
    assert json.loads((tmp_path / "throughput.json").read_text())["superres-xs fp32"][0]["gpx_s"] > 0


def test_a_run_that_was_cut_goes_on_with_what_is_missing(tmp_path):
    before = {"machine": {"state": "done", "seconds": 1.0, "found": {"cores": 99}}, "accuracy": {"state": "running"}}
    cut = tmp_path / "cut.json"
    cut.write_text(json.dumps({"device": "cpu", "small": True, "sections": before}))
    with pytest.raises(SystemExit, match="cannot be resumed"):
        finished(cut, "cuda", small=True)
    done = finished(cut, "cpu", small=True)
    assert list(done) == ["machine"]
    found = run(tmp_path, "cpu", tmp_path, 120.0, ["machine", "variants"], small=True, done=done)["sections"]
    assert found["machine"] == before["machine"]
    assert found["variants"]["state"] == "done"
    rows = found["variants"]["found"]
    assert all(row["gpx_s"] > 0 and row["rms_mm"] < 20 for row in rows.values()), rows
    assert any("aot_eager" in label for label in rows)
    assert (tmp_path / "variants.png").stat().st_size > 1000


def test_a_section_that_takes_too_long_is_stopped_and_keeps_what_it_has(tmp_path):
    found = run(tmp_path, "cpu", tmp_path, 8.0, ["accuracy"], small=False)
    assert json.loads((tmp_path / "gpu.json").read_text()) == found
    assert "== accuracy: stopped" in table(found)


@pytest.mark.rehearsal
@pytest.mark.ray
@pytest.mark.parametrize("device", ["cpu", twin_device.NAME])
def test_every_section_runs(tmp_path, device):
    if device == twin_device.NAME and twin_device.compiler() is None:
        skip_or_fail("compiler", "no C++ compiler to build a device with")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", "tests/bench/gpu.sh", str(tmp_path / "none"), str(tmp_path), "--device", device, "--small"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    found = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert list(found) == list(SHARES_S)
    assert all(row["ok"] for row in found["accuracy"]["found"].values())
    assert found["determinism"]["found"]["coregistration repeats"]
    assert found["ray_tiles"]["found"]["1 per GPU"]["done"] == 1
    assert (tmp_path / "throughput.png").stat().st_size > 1000
    if device != "cpu":
        assert found["memory"]["found"]["batch"] == 2
