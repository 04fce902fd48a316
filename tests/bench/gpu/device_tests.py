"""The suite of `tests/integration/on_second_device.py` on the device."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.bench.gpu.context import Context


def measure(context: Context) -> None:
    """Run the tests and record how many passed, and the end of their output."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/integration/on_second_device.py"]
    chosen = ["-k", "refuses or processor or coregistration"] if context.small else []
    done = subprocess.run(
        [*command, *chosen],
        env={**os.environ, "OROGRAPH_DEVICE": context.device},
        capture_output=True,
        text=True,
        check=False,
    )
    context.record("returncode", done.returncode)
    for word in ("passed", "failed", "skipped", "error"):
        count = re.search(rf"(\d+) {word}", done.stdout)
        context.record(word, int(count.group(1)) if count else 0)
    context.record("output", (done.stdout + done.stderr)[-6000:])
