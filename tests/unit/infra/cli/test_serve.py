"""`orograph serve` chooses its sources; Ray Serve, with settings of the same names, serves the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient

from orograph.infra.cli import app as cli
from orograph.infra.cli.common import ending
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.settings import ProcessingSettings
from tests.support.made import source, write_source


def served(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> FastAPI:
    """The application that the command would serve."""
    found: list[FastAPI] = []
    monkeypatch.setattr("uvicorn.run", lambda app, **_: found.append(app))
    words = ["serve", "--port", "18079", *map(str, arguments)]
    assert ending(lambda: cli.app(words, standalone_mode=True)) == 0
    return found[0]


def planner(app: FastAPI) -> Any:
    return app.state.service.parts.planner


def test_serve_takes_data_of_a_bundled_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `--catalogue` the places of `--data` were dropped without a word."""
    named = planner(served(monkeypatch, "--store", tmp_path, "--data", f"glo-30={tmp_path}/*.tif"))
    (glo,) = named.sources
    assert (glo.id, glo.data.hrefs, named.is_explicit) == ("glo-30", (f"{tmp_path}/*.tif",), True)
    bundled = planner(served(monkeypatch, "--store", tmp_path))
    assert len(bundled.sources) > 50
    assert not bundled.is_explicit


def test_ray_serve_serves_the_same_by_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orograph.infra.service.deployment import application

    tile = Tile.parse("E4200N3000")
    west, south, _, _ = tile.bounds_m
    path = write_source(tmp_path / "hills.tif", "EPSG:3035", (west, south, west + 50_000, south + 50_000), 500.0)
    made = source(path, id="hills", resolution_m=500.0)
    catalogue, store = tmp_path / "catalogue.yaml", tmp_path / "store"
    catalogue.write_text(yaml.safe_dump({"sources": [json.loads(made.model_dump_json(exclude_none=True))]}))
    command = served(monkeypatch, "--store", store, "-c", catalogue, "--grids-dir", tmp_path)
    for name, value in {"STORE": store, "GRIDS_DIR": tmp_path, "SERVICE_CATALOGUE": catalogue}.items():
        monkeypatch.setenv(f"OROGRAPH_{name}", str(value))
    deployed = application()
    assert deployed.openapi() == command.openapi()
    paths = ["/", "/stac/", "/stac/search", "/static/app.js", "/map/state", "/livez", "/processes", "/browser/"]
    answers = [
        [TestClient(app, "http://127.0.0.1").get(path).status_code for path in paths] for app in (command, deployed)
    ]
    assert answers[0] == answers[1] == [200] * 7 + [404]
    settings = ProcessingSettings(pixel_size_m=1000.0)
    jobs = [planner(app)(tile, (), settings) for app in (command, deployed)]
    assert [ref.source.id for ref in jobs[1].sources] == ["hills"]
    assert jobs[0].run_key == jobs[1].run_key
