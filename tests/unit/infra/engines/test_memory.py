"""Peak memory is that of one tile, and a child's own."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from orograph.infra.engines import memory as memory_use
from orograph.infra.engines.memory import WORKER_MB, peak_rss_mb, reset_peak, usable_workers
from orograph.pipeline.core.processor import usable_cores


def test_a_large_array_shows_until_the_peak_is_reset() -> None:
    reset_peak()
    before = peak_rss_mb()
    array = np.ones(200 * 2**20, np.uint8)
    assert peak_rss_mb() > before + 190
    del array
    reset_peak()
    assert peak_rss_mb() < before + 100


def test_a_child_does_not_show_its_parents_peak() -> None:
    array = np.ones(300 * 2**20, np.uint8)
    code = "from orograph.infra.engines.memory import peak_rss_mb; print(peak_rss_mb())"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert float(answer.stdout) < 100
    assert array[0]


def test_workers_are_bounded_by_cores_and_by_free_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cores = usable_cores()
    free = WORKER_MB * 2**20 * (cores + 1)
    monkeypatch.setattr(memory_use.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    monkeypatch.setattr(memory_use, "_CGROUP", tmp_path)
    assert usable_workers() == cores
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert usable_workers() == cores
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert usable_workers() == 1
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "memory.max").write_text(str(int(WORKER_MB * 2**20 * 1.5)))
    (tmp_path / "memory.current").write_text("0")
    assert usable_workers() == 1
    free = 0
    assert usable_workers() == 1
