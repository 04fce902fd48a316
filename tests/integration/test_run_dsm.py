"""Tiles of a DSM end to end: bare earth, its map, and all that moves or rounds heights in their uncertainty."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from pyproj import Transformer
from rio_cogeo import cog_validate
from scipy.ndimage import binary_dilation

from orograph.infra.engines.make import make_engine
from orograph.infra.runs.request import Request
from orograph.infra.runs.run import execute_plan
from orograph.infra.service.assemble import TilePlanner
from orograph.infra.service.published_tiles import Published
from orograph.infra.stores.open import open_store
from orograph.pipeline.core.network_adjustment import Adjustment
from orograph.pipeline.manifest import CoregistrationRecord, Manifest
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.pipeline.sources.land_cover import LandCover
from orograph.pipeline.tile.products import VOID_PERCENT
from tests.support.made import source, terrain, write_catalogue, write_source
from tests.support.tile_runs import SETTINGS, TILE, read_products, run


def small_dsm(tmp_path):
    box = (4_210_000.0, 3_010_000.0, 4_214_200.0, 3_014_200.0)
    path = write_source(tmp_path / "dsm.tif", "EPSG:3035", box, 50)
    return source(path, id="dsm", resolution_m=50.0, surface="DSM", accuracy_m=0.2)


@pytest.mark.parametrize(
    ("resolution_m", "pixel_size_m", "model"),
    [(5, 50.0, "opening"), (30, 20.0, "bare-earth-30m")],
    ids=["averaged", "superres"],
)
def test_bare_earth_takes_what_stands_off_a_surface_model_and_says_where(tmp_path, resolution_m, pixel_size_m, model):
    side_m = 300.0 * resolution_m if resolution_m == 5 else 4_200.0
    box = (4_210_000.0, 3_010_000.0, 4_210_000.0 + side_m, 3_010_000.0 + side_m)
    path = write_source(tmp_path / "dsm.tif", "EPSG:3035", box, resolution_m)
    with rasterio.open(path, "r+") as dataset:
        heights = dataset.read(1)
        side = 8 if resolution_m == 5 else 20
        heights[60 : 60 + side, 40 : 40 + side] += 25.0
        dataset.write(heights, 1)
    dsm = source(path, id="dsm", resolution_m=float(resolution_m), surface="DSM")
    taken = {}
    for asked in (model, "none"):
        (tmp_path / asked).mkdir()
        settings = ProcessingSettings(pixel_size_m=pixel_size_m, bare_earth=asked, fill_max_m=0.0, superres="keys6")
        plan, outcomes, code = run(tmp_path / asked, dsm, settings=settings)
        assert code == 0, outcomes[0].error
        store = tmp_path / asked / "store"
        manifest = Manifest.from_json((store / plan.jobs[0].manifest_key).read_bytes())
        taken[asked] = store, manifest
    store, manifest = taken[model]
    assert manifest.surface == "DTM"
    assert manifest.models["bare_earth"] == model
    assert cog_validate(store / manifest.asset("bare_earth_mask").key, strict=True) == (True, [], [])
    untouched_store, untouched = taken["none"]
    assert untouched.surface == "DSM"
    assert "bare_earth_mask" not in {asset.name for asset in untouched.assets}
    with (
        rasterio.open(store / manifest.asset("elevation").key) as lowered,
        rasterio.open(untouched_store / untouched.asset("elevation").key) as standing,
        rasterio.open(store / manifest.asset("bare_earth_mask").key) as masked,
    ):
        ground, top = lowered.read(1, masked=True), standing.read(1, masked=True)
        percent = masked.read(1)
    void = np.ma.getmaskarray(ground)
    assert np.array_equal(percent == VOID_PERCENT, void)
    marked = (percent > 0) & ~void
    lower = (top - ground).filled(0)
    assert lower.max() > 2.0
    # Interpolation carries a correction two source pixels further than the share says, not more.
    reach = math.ceil(2 * max(1.0, resolution_m / pixel_size_m)) + 1
    assert np.abs(lower[~binary_dilation(marked, np.ones((3, 3)), reach)]).max() < 1e-3
    # Near the threshold a share is small, and so is its lowering.
    assert lower[(percent >= 50) & ~void].mean() > 0.2 * lower.max()
    assert 0 < marked.sum() < 0.5 * (~void).sum()


def test_what_moves_or_rounds_heights_is_in_their_uncertainty(tmp_path):
    dsm = small_dsm(tmp_path)
    adjusted = SETTINGS.model_copy(
        update={"adjustments": (("dsm", Adjustment(constant_m=1.0, sigma_m=0.3)),), "fill_max_m": 0.0}
    )
    rounded = SETTINGS.model_copy(update={"compression": "lerc-zstd", "lerc_max_error_m": 0.9, "fill_max_m": 0.0})
    for name, settings, error_m in (("adjusted", adjusted, 0.3), ("rounded", rounded, 0.9 / math.sqrt(3))):
        (tmp_path / name).mkdir()
        plan, outcomes, code = run(tmp_path / name, dsm, settings=settings)
        assert code == 0, outcomes[0].error
        store = tmp_path / name / "store"
        manifest = Manifest.from_json((store / plan.jobs[0].manifest_key).read_bytes())
        heights, sigma = read_products(store, manifest, "elevation", "uncertainty")
        assert sigma.compressed() == pytest.approx(math.hypot(0.2, error_m), rel=0.05)
        told = manifest.asset("elevation").bands[0].statistics
        assert told["minimum"] == pytest.approx(float(heights.min()), abs=1e-3)
        assert told["maximum"] == pytest.approx(float(heights.max()), abs=1e-3)
        assert manifest.quality.height_mean_m == pytest.approx(float(heights.compressed().mean(dtype=float)), abs=1e-3)
        if name == "adjusted":
            assert manifest.operations[0].accuracy_m == 0.3


def test_a_shift_that_was_told_brings_its_uncertainty(tmp_path):
    told = CoregistrationRecord(
        source="dsm",
        reference="dsm",
        method="nuth-kaab",
        status="converged",
        shift_up_m=2.0,
        details={"corners_m": [[0.0, 0.0, 2.0]] * 4, "up_error_m": 0.4},
    )
    settings = RunSettings.with_flags(store=str(tmp_path / "store"), grids_dir=tmp_path / "grids")
    plan = Request(catalogue=write_catalogue(tmp_path / "catalogue.yaml", small_dsm(tmp_path)), tiles=(TILE,)).plan(
        SETTINGS, settings
    )
    plan = replace(plan, jobs=tuple(replace(job, alignment=(told,)) for job in plan.jobs))
    (outcome,) = execute_plan(plan, make_engine(settings), settings, as_json=True)
    assert outcome.error is None
    store = tmp_path / "store"
    manifest = Manifest.from_json((store / plan.jobs[0].manifest_key).read_bytes())
    heights, sigma = read_products(store, manifest, "elevation", "uncertainty")
    rows, cols = np.nonzero(~np.ma.getmaskarray(heights))
    truth = terrain(4_200_000 + (cols + 0.5) * 50, 3_050_000 - (rows + 0.5) * 50)
    assert np.median(heights.compressed() - truth) == pytest.approx(2.0, abs=1e-3)
    assert sigma.compressed() == pytest.approx(math.hypot(0.2, 0.4), rel=0.05)

    planner = TilePlanner(Published(open_store(str(store))), (), settings, SETTINGS)
    tile = plan.jobs[0].tile
    again = planner.settings_for(tile)
    assert planner(tile, (), again).run_key == plan.jobs[0].run_key, "an order for the same tile is the same tile"
    assert planner(tile, (), again.model_copy(update={"max_shift_m": 5.0})).alignment == ()
    assert planner(tile, (), again.model_copy(update={"blend_width_m": 5.0})).alignment == (told,)


@pytest.mark.parametrize(("model", "shown"), [("bare-earth-30m", True), ("opening", False)])
def test_a_map_that_lowered_heights_is_named_with_its_makers(tmp_path, model, shown):
    metres = 30 if shown else 5
    box = (4_210_000.0, 3_010_000.0, 4_210_000.0 + 80 * metres, 3_010_000.0 + 80 * metres)
    path = write_source(tmp_path / "dsm.tif", "EPSG:3035", box, metres)
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 240, "height": 240, "crs": "EPSG:3035"}
    with rasterio.open(
        tmp_path / "map.tif", "w", transform=rasterio.Affine(10, 0, box[0], 0, -10, box[3]), **profile
    ) as dataset:
        dataset.write(np.full((240, 240), 10, np.uint8), 1)
    cover = LandCover.of(tmp_path / "map.tif").model_copy(update={"attribution": "Mapmakers"})
    dsm = source(path, id="dsm", resolution_m=float(metres), surface="DSM", attribution="Flyers", land_cover=cover)
    settings = ProcessingSettings(pixel_size_m=50.0, bare_earth=model, fill_max_m=0.0)
    plan, outcomes, code = run(tmp_path, dsm, settings=settings)
    assert code == 0, outcomes[0].error
    manifest = Manifest.from_json((tmp_path / "store" / plan.jobs[0].manifest_key).read_bytes())
    assert manifest.models.get("bare_earth_land_cover_sha256") == (cover.sha256 if shown else None)
    item = json.loads(next((tmp_path / "store" / "stac").rglob(f"{TILE}/{TILE}.json")).read_text())
    (told,) = item["properties"]["dem:sources"]
    assert told["attribution"] == ("Flyers; Mapmakers" if shown else "Flyers")


def test_a_terrain_model_takes_the_level_under_canopy_and_is_named(tmp_path):
    metres, side = 30, 240
    box = (4_210_000.0, 3_010_000.0, 4_210_000.0 + metres * side, 3_010_000.0 + metres * side)
    path = write_source(tmp_path / "dsm.tif", "EPSG:3035", box, metres)
    woods = np.zeros((side, side), np.float32)
    woods[60:180, 60:180] = 15.0
    with rasterio.open(path, "r+") as dataset:
        dataset.write(dataset.read(1) + woods, 1)
    # In degrees and decimetres, two metres too high, and ranked above the DSM by its priority.
    corners = Transformer.from_crs("EPSG:3035", "EPSG:4326", always_xy=True).transform_bounds(*box)
    below = write_source(tmp_path / "below.tif", "EPSG:4326", corners, 1 / 3600, offset_m=2.0)
    with rasterio.open(below, "r+") as dataset:
        dataset.write(np.round(10 * dataset.read(1)), 1)
    model = source(
        below, id="below", horizontal_crs="EPSG:4326", resolution_m=30.0, unit="decimetre", priority=5,
        accuracy_m=3.0, attribution="Modellers",
    )  # fmt: skip
    dsm = source(path, id="dsm", resolution_m=30.0, surface="DSM", attribution="Flyers", terrain="below")
    made = {}
    for asked in ("auto", "none"):
        (tmp_path / asked).mkdir()
        settings = ProcessingSettings(pixel_size_m=50.0, bare_earth=asked, fill_max_m=0.0, coregistration="none")
        sources = (dsm, model) if asked == "auto" else (dsm,)
        plan, outcomes, code = run(tmp_path / asked, *sources, settings=settings)
        assert code == 0, outcomes[0].error
        store = tmp_path / asked / "store"
        manifest = Manifest.from_json((store / plan.jobs[0].manifest_key).read_bytes())
        made[asked] = manifest, read_products(store, manifest, "elevation")[0], plan.jobs[0]
    manifest, heights, job = made["auto"]
    assert [ref.source.id for ref in job.sources] == ["dsm", "below"], "its own heights only fill gaps"
    assert manifest.models["bare_earth"] == "fusion"
    assert manifest.models["bare_earth_terrain"] == "below"
    assert manifest.models["bare_earth_choice"].startswith(
        "dsm: fusion, its pixels are coarse and below is the terrain"
    )
    item = json.loads(next((tmp_path / "auto" / "store" / "stac").rglob(f"{TILE}/{TILE}.json")).read_text())
    assert item["properties"]["dem:sources"][0]["attribution"] == "Flyers; Modellers"
    lowered = made["none"][1] - heights
    north, west = round((3_050_000 - box[3]) / 50), round((box[0] - 4_200_000) / 50)
    inside = lowered[north + 48 : north + 96, west + 48 : west + 96]
    assert inside.mean() == pytest.approx(15.0, abs=2.5)
    assert np.abs(lowered[north + 4 : north + 24, west + 4 : west + 140]).max() < 1e-3, "open terrain keeps the DSM"
    alone = replace(job, sources=job.sources[:1])
    assert alone.run_key == replace(made["none"][2], settings=job.settings).run_key, "without it nothing has changed"
    assert alone.run_key != job.run_key
