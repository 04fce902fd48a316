"""Signals end a run gently; its record, report and table tell what happened."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from orograph.infra.cli.status import table_of
from orograph.infra.engines.local import LocalEngine
from orograph.infra.engines.protocol import Event
from orograph.infra.reporting.html import html_of
from orograph.infra.reporting.run_record import Journal, latest_run, run_name
from orograph.infra.runs.supervise import Supervised
from orograph.infra.stores.local import LocalStore
from tests.support import runners
from tests.support.catalogue_world import MemoryStore
from tests.support.worlds import make_job
from tests.unit.infra.engines.test_local import QUICK

ROOT = Path(__file__).resolve().parents[2]
DRIVER = """
import sys
from orograph.infra.reporting.run_record import Journal
from orograph.infra.engines.local import LocalEngine
from orograph.infra.stores.local import LocalStore
from orograph.infra.runs.supervise import Supervised
from pathlib import Path
from tests.support import runners
from tests.support.worlds import make_job
journal = Journal(LocalStore(Path(sys.argv[1])), "r", "local", total=40, every_s=0.1)
supervised = Supervised(LocalEngine(int(sys.argv[2]), isolate=True), journal)
jobs = (make_job(n, href="do:nap:0.4") for n in range(40))
for outcome in supervised.run(jobs, runners.told, lambda _: None):
    print(outcome.status, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_runs_and_starts_nothing(number: signal.Signals, tmp_path: Path) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path), "2"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    driver.stdout.readline()
    driver.send_signal(number)
    began = time.monotonic()
    rest = driver.stdout.read().split()
    assert driver.wait(20) == 0
    assert time.monotonic() - began < 15
    assert len(rest) <= 3
    state = json.loads((tmp_path / "runs/r/state.json").read_text())
    report = json.loads((tmp_path / "runs/r/report.json").read_text())
    assert state["state"] == "interrupted"
    assert report["interrupted"] is True
    assert report["tiles"]["done"] == 1 + len(rest) < 40
    assert "interrupted" in (tmp_path / "runs/r/report.html").read_text()


def test_the_record_and_the_report_tell_what_happened(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    journal = Journal(store, run_name("abcdef0123"), "local", total=4, workers=1, every_s=0.0, price_per_hour=3.6)
    deeds = [
        "nothing:",
        "corrupt:<script>alert(1)</script>?X-Amz-Signature=abc123",
        f"unavailableonce:{tmp_path / 'x'}",
    ]
    jobs = [make_job(n, href=f"do:{deed}") for n, deed in enumerate([*deeds, "unavailable:"])]
    events: list[Event] = []
    outcomes = list(Supervised(LocalEngine(1, QUICK), journal).run(jobs, runners.told, events.append))
    assert len(outcomes) == 4
    assert events
    name = latest_run(store)
    assert name is not None
    report = json.loads(store.get(f"runs/{name}/report.json"))
    assert report["tiles"] == {"planned": 4, "done": 2, "up-to-date": 0, "failed": 1, "quarantined": 1}
    assert report["retries"] == 3
    assert report["cost"] == pytest.approx(report["wall_seconds"] / 1000, abs=2e-3)
    assert [failure["error"] for failure in report["failures"]] == ["SourceCorrupt", "TileQuarantined"]
    page = store.get(f"runs/{name}/report.html").decode()
    assert "<script" not in page
    assert "abc123" not in page
    assert "TileQuarantined" in page
    assert html_of(report) == page
    state = json.loads(store.get(f"runs/{name}/state.json"))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table_of(state))
    text = console.export_text()
    assert "4 of 4: 2 made, 0 up to date, 1 failed, 1 quarantined" in text
    assert "ended" in text


def test_a_silent_run_is_told_so() -> None:
    store = MemoryStore()
    journal = Journal(store, "r", "local", total=2, every_s=0.0)
    journal.event(Event("E4300N2650", "read", 0.5))
    state = json.loads(store.objects["runs/r/state.json"])
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table_of(state, time.time() + 600))
    text = console.export_text()
    assert "silent for 10 min" in text
    assert "E4300N2650" in text
    assert "50%" in text
