"""The notebook's cells run on the real data they name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_every_cell_of_the_notebook_runs(
    shared: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mpl.use("Agg")
    monkeypatch.chdir(shared("data/dtm"))
    monkeypatch.setenv("OROGRAPH_GRIDS_DIR", str(shared("proj-grids")))
    notebook = json.loads((ROOT / "docs/notebooks/python.ipynb").read_text())
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)  # noqa: S102 - our own notebook
    shown = capsys.readouterr().out
    stored = [
        "".join(output["text"])
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if output.get("name") == "stdout"
    ]
    assert "converged" in shown
    assert shown.split()[:1] == stored[0].split()[:1], "the stored outputs are those of an older version"


def test_stored_outputs_name_no_folder_of_a_machine() -> None:
    text = (ROOT / "docs/notebooks/python.ipynb").read_text()
    assert not [part for part in ("/home/", "/root/", "/tmp/", "site-packages") if part in text]
