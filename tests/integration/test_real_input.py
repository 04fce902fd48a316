"""The main job on real DTMs: heights of the tiles against the delivered files, moved by the pinned operation."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from pyproj import Transformer

from orograph.infra.engines.make import make_engine
from orograph.infra.runs.request import Request
from orograph.infra.runs.run import execute_plan, summarise
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.pipeline.vertical import VerticalCatalogue
from tests.support.real import SOURCES, write_catalogue


def run(tmp_path, shared, name, pixel_size_m):
    grids = shared("proj-grids")
    catalogue = write_catalogue(tmp_path / "catalogue.yaml", shared("data"), name)
    settings = RunSettings.with_flags(store=str(tmp_path / "store"), grids_dir=grids)
    plan = Request(catalogue=catalogue).plan(ProcessingSettings(pixel_size_m=pixel_size_m), settings)
    outcomes = execute_plan(plan, make_engine(settings), settings, as_json=True)
    assert summarise(outcomes, plan, settings, as_json=True) == 0
    store = tmp_path / "store"
    return store, [Manifest.from_json((store / job.manifest_key).read_bytes()) for job in plan.jobs]


@pytest.mark.parametrize(
    ("name", "pixel_size_m", "tolerance_m"), [("petzenkirchen", 10.0, 0.001), ("tirol", 10.0, 0.35)]
)
def test_tiles_hold_the_delivered_heights_in_the_target_frame(tmp_path, shared, name, pixel_size_m, tolerance_m):
    store, manifests = run(tmp_path, shared, name, pixel_size_m)
    described = SOURCES[name]
    frame = str(described["vertical_frame"])
    operation = VerticalCatalogue.load().operation(frame, "EPSG:5621", grids_dir=shared("proj-grids"))
    path = min(Path(shared("data")).glob(described["files"][0]))
    with rasterio.open(path) as delivered:
        native = delivered.read(1, masked=True)
        rows, cols = (index[:: max(1, index.size // 4000)] for index in np.nonzero(~np.ma.getmaskarray(native)))
        x, y = rasterio.transform.xy(delivered.transform, rows, cols)
    definition = manifests[0].sources[0].horizontal.definition
    east, north = Transformer.from_pipeline(definition).transform(np.array(x), np.array(y), direction="INVERSE")
    lon, lat = Transformer.from_crs(3035, 4258, always_xy=True).transform(east, north)
    wanted = np.asarray(native[rows, cols], np.float64) + operation.shift(lon, lat)
    compared = 0
    for manifest in manifests:
        west, south, east_edge, north_edge = manifest.grid["bounds"]
        inside = (east > west) & (east < east_edge) & (north > south) & (north < north_edge)
        if not inside.any():
            continue
        with rasterio.open(store / manifest.asset("elevation").key) as tile:
            heights = tile.read(1, masked=True)
        # Bilinear between the tile's pixel centres at the delivered pixel's centre.
        r, c = (north_edge - north[inside]) / pixel_size_m - 0.5, (east[inside] - west) / pixel_size_m - 0.5
        r0, c0 = np.floor(r).astype(int).clip(0, 4998), np.floor(c).astype(int).clip(0, 4998)
        fr, fc = r - r0, c - c0
        made = (heights[r0, c0] * (1 - fc) + heights[r0, c0 + 1] * fc) * (1 - fr)
        made = made + (heights[r0 + 1, c0] * (1 - fc) + heights[r0 + 1, c0 + 1] * fc) * fr
        difference = np.ma.compressed(made - wanted[inside])
        compared += difference.size
        assert abs(np.median(difference)) < 0.02
        assert np.median(np.abs(difference)) < tolerance_m
    assert compared > 1000


def test_a_submetre_source_comes_out_at_the_pixel_asked_for(tmp_path, shared):
    store, manifests = run(tmp_path, shared, "limburg", 5.0)
    with rasterio.open(store / manifests[0].asset("elevation").key) as tile:
        assert tile.res == (5.0, 5.0)
        assert tile.shape == (10_000, 10_000)
        assert manifests[0].quality.void_fraction > 0.99
    assert manifests[0].operations[0].derived
