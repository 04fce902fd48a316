"""A processor without AVX-512: torch and oneDNN of a child process are capped to AVX2."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
CAPS: Final = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
"""torch's own loops obey the first, its convolutions (oneDNN) the second: alone, the first leaves bf16 as it was."""

CAN_CAP: Final = platform.machine() in {"x86_64", "AMD64"}


def capped_environment(**more: str) -> dict[str, str]:
    """The environment of a child that sees a processor with AVX2 at most."""
    return {**os.environ, **CAPS, **more}


def run_capped(*arguments: str, timeout_s: float = 240.0) -> str:
    """Run Python with these arguments on the capped processor; its standard output."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=capped_environment(OMP_NUM_THREADS="1"), capture_output=True,
        text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout
