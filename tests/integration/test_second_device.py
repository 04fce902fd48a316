"""Runs `on_second_device.py` in a process of its own: torch counts devices at its first gradient, and never again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import skip_or_fail
from tests.support import twin_device

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(660)
def test_everything_on_a_second_device():
    if twin_device.compiler() is None:
        skip_or_fail("compiler", "no C++ compiler to build a device with")
    suite = Path(__file__).with_name("on_second_device.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(suite)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
