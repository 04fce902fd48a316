"""A worker of a mixed cluster: makes every planned tile in a process whose instruction set may be capped.

`python -m tests.support.mixed_worker PLAN.json [FIRST]` goes over the plan's tiles from number FIRST on and prints the
instruction set torch uses and the processor Numba compiles for, then a line per finished tile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CAPS: dict[str, dict[str, str]] = {
    "none": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL",
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "sse4": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL",
        "NUMBA_CPU_NAME": "nehalem",
        "NUMBA_CPU_FEATURES": "",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}
"""Environments in which torch, oneDNN, NumPy, Numba and OpenBLAS use an older processor's instructions only."""


def start(plan: Path, cap: str, first: int = 0) -> subprocess.Popen[str]:
    """Start a worker under one of `CAPS`; its standard output is a pipe."""
    environment = {name: value for name, value in os.environ.items() if name not in CAPS["sse4"]}
    environment["OMP_NUM_THREADS"] = "1"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.mixed_worker", str(plan), str(first)],
        env={**environment, **CAPS[cap]},
        stdout=subprocess.PIPE,
        text=True,
    )


def main() -> None:
    """Make the tiles."""
    import torch
    from numba.core.codegen import JITCPUCodegen

    from orograph.infra.cli.options import Request
    from orograph.infra.runs.tile_runner import TileRunner
    from orograph.pipeline.settings import ProcessingSettings, RunSettings

    document = json.loads(Path(sys.argv[1]).read_text())
    run = RunSettings(**document["run"])
    request = Request(catalogue=Path(document["catalogue"]), tiles=tuple(document["tiles"]))
    wanted = [ProcessingSettings(**one) for one in document["processing"]]
    jobs = tuple(job for settings in wanted for job in request.plan(settings, run).jobs)
    first = int(sys.argv[2])
    compiled_for = JITCPUCodegen("caps")._get_host_cpu_name()
    print(torch.backends.cpu.get_cpu_capability(), compiled_for, flush=True)
    for job in (*jobs[first:], *jobs[:first]):
        receipt = TileRunner(run)(job, lambda _stage, _fraction: None)
        print(receipt.tile, receipt.status, flush=True)


if __name__ == "__main__":
    main()
