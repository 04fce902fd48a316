"""The export and derive commands, as people type them."""

from __future__ import annotations

import json
from pathlib import Path

from orograph.pipeline.core.grid import Tile
from tests.support.commands import invoke

TILE = Tile.parse("E4300N2650")


def test_plan_make_copy_and_again(store: str, tmp_path: Path) -> None:
    words = ("export", "--store", store, "--cell", "N47E010", "--product", "hgt3")
    plan = invoke(*words, "--dry-run", "--json")
    assert json.loads(plan.stdout) == {
        "due": [{"cell": "N47E010", "tiles": ["E4300N2650"]}],
        "up_to_date": [],
        "rejected": [],
    }
    made = invoke(*words, "--copy-to", tmp_path)
    assert made.exit_code == 0, made.output
    assert (tmp_path / "hgt3/N47E010.SRTMGL3.hgt.zip").exists()
    again = invoke(*words, "--dry-run", "--json")
    assert json.loads(again.stdout)["up_to_date"] == ["N47E010"]


def test_refusals_and_bad_words(store: str) -> None:
    rejected = invoke("export", "--store", store, "--cell", "N47E010", "--missing", "error", "--dry-run", "--json")
    assert "not published" in json.loads(rejected.stdout)["rejected"][0]["message"]
    assert invoke("export", "--store", store, "--cell", "N47E010", "--missing", "error").exit_code == 1
    for words in (("--product", "kmz"), ("--cell", "47N010E"), ("--interval", "0"), ("--missing", "guess")):
        result = invoke("export", "--store", store, *words)
        assert getattr(result.exception, "exit_code", None) == 2, (words, result.output)
