"""The tutorial "from nothing to a map", block by block, as a newcomer would run it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = ROOT / "docs/tutorials/from-nothing-to-a-map.md"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_block_of_the_tutorial_runs(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("the tutorial uses curl")
    blocks = re.findall(r"```bash\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 7
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, arguments in (("orograph", "-m orograph"), ("python", "")):
        path = commands / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        path.chmod(0o755)
    script = "set -eu -o pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "\n".join(blocks)
    found = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{commands}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1400,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-4000:]
    assert "up to date" in found.stdout
    assert "E4000N3100" in found.stdout
