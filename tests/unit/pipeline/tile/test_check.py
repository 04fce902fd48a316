"""A run measured against control points carries the figures into its manifest and its STAC item."""

from __future__ import annotations

import json

import pytest
import yaml

from orograph.infra.cli import app as cli
from orograph.infra.cli.common import ending
from tests.support.made import source, write_source


def run(*arguments):
    return ending(lambda: cli.app([str(argument) for argument in arguments], standalone_mode=True))


def test_figures_enter_the_item(tmp_path):
    import rasterio

    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_210_000.0, 3_010_000.0, 4_212_000.0, 3_012_000.0), 50)
    entry = json.loads(source(path, resolution_m=50.0).model_dump_json(exclude_none=True))
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(yaml.safe_dump({"sources": [entry]}))
    frame = entry["vertical_frame"]
    with rasterio.open(path) as file:
        heights, transform = file.read(1), file.transform
    rows = ["x,y,h"]
    for row in range(5, 35, 3):
        for col in range(5, 35, 3):
            x, y = transform @ (col + 0.5, row + 0.5)
            rows.append(f"{x},{y},{heights[row, col] - 0.25}")
    (tmp_path / "points.csv").write_text("\n".join(rows))
    import pyogrio.raw
    import shapely

    table = [[float(v) for v in row.split(",")] for row in rows[1:]]
    points = shapely.to_wkb([shapely.Point(*place) for place in table])
    control = tmp_path / "points.gpkg"
    pyogrio.raw.write(control, points, [], [], geometry_type="Point Z", crs="EPSG:3035", driver="GPKG")
    store = tmp_path / "store"
    settings = ("--set", f"control={control}", "--set", f"control_frame={frame}", "--set", f"target_frame={frame}")
    assert run("run", "-c", catalogue, "--store", store, "-p", 50, *settings) == 0
    manifest = json.loads(next(store.rglob("manifest.json")).read_text())
    figures = manifest["quality"]["details"]["validation"]
    assert figures["overall"]["count"] == 100
    assert figures["overall"]["median_m"] == pytest.approx(0.25, abs=0.02)
    assert figures["overall"]["coverage_68"] is not None
    assert list(figures["by_source"]) == ["made"]
    item = json.loads(next(store.rglob("E4200N3000.json")).read_text())
    assert item["properties"]["dem:quality"]["validation"]["overall"] == figures["overall"]
