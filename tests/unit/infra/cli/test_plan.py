"""`orograph plan` and dry runs list what a run would do, and change nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.commands import run

ROOT = Path(__file__).resolve().parents[4]


def test_a_dry_run_tells_tiles_sources_bytes_and_memory_and_changes_nothing(catalogue, tmp_path, capsys):
    store = tmp_path / "store"
    assert run("run", "-c", catalogue, "--store", store, "-p", 50, "--dry-run", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    (tile,) = document["tiles"]
    assert (tile["tile"], tile["sources"]) == ("E4200N3000", ["made"])
    assert tile["bytes_to_read"] > 0
    assert tile["projected_peak_bytes"] > 0
    assert not store.exists()


def test_a_first_plan_compiles_nothing_and_loads_no_large_library_for_tables(catalogue, tmp_path):
    store = tmp_path / "store"
    code = "import sys, orograph.infra.cli.app as app; app.app(sys.argv[1:], standalone_mode=False); print([m for m in ('torch', 'numba', 'pandas', 'scipy.ndimage', 'scipy.optimize', 'httpx') if m in sys.modules])"
    arguments = ["plan", "-c", str(catalogue), "--store", str(store), "--tile", "E4200N3000", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert '"tile": "E4200N3000"' in out.stdout
    assert out.stdout.splitlines()[-1] == "[]"
