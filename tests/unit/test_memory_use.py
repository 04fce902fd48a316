"""Peak memory is that of one tile, and a child's own."""

import subprocess
import sys

import numpy as np

from infra.memory_use import peak_rss_mb, reset_peak


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
    code = "from infra.memory_use import peak_rss_mb; print(peak_rss_mb())"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert float(answer.stdout) < 100
    assert array[0]
