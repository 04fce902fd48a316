"""A tile end to end on made sources with a known truth: plan, run, commit, publish, resume, and the errors of bad input."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from fastapi.testclient import TestClient
from rio_cogeo import cog_validate

from orograph.infra.engines.make import make_engine
from orograph.infra.engines.protocol import Status
from orograph.infra.runs.request import Request
from orograph.infra.runs.run import execute_plan
from orograph.infra.runs.tile_runner import TileRunner
from orograph.infra.service.app import create_app
from orograph.infra.service.assemble import TilePlanner, parts_from
from orograph.infra.service.published_tiles import Published
from orograph.infra.service.settings import ServiceSettings
from orograph.infra.stores.local import LocalStore
from orograph.infra.stores.open import open_store
from orograph.pipeline.core.palette import source_colour
from orograph.pipeline.errors import AllVoid, MemoryBudgetExceeded, OutsideCoverage, SourceCorrupt, VerticalError
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.pipeline.sources.catalogue import StacLocation
from tests.support.made import source, terrain, write_catalogue, write_source
from tests.support.tile_runs import SETTINGS, TILE, read_products, run


@pytest.fixture
def fine(tmp_path):
    path = write_source(tmp_path / "fine.tif", "EPSG:25832", (451_000.0, 5_553_000.0, 503_000.0, 5_578_000.0), 25)
    return source(path, id="fine", horizontal_crs="EPSG:25832", vertical_frame="EPSG:7837", resolution_m=25.0)


def test_a_tile_is_made_committed_published_and_found_again(tmp_path, fine, monkeypatch):
    plan, outcomes, code = run(tmp_path, fine)
    assert (code, outcomes[0].status) == (0, Status.DONE)
    store = tmp_path / "store"
    manifest = Manifest.from_json((store / plan.jobs[0].manifest_key).read_bytes())
    assert {asset.name for asset in manifest.assets} == {
        "elevation",
        "source_index",
        "uncertainty",
        "hillshade",
        "thumbnail",
    }
    for asset in manifest.assets:
        if asset.filename.endswith(".tif"):
            valid, errors, warnings = cog_validate(store / asset.key, strict=True)
            assert (valid, errors, warnings) == (True, [], [])
    assert manifest.operations[0].operation == "EPSG:7838"
    with rasterio.open(store / manifest.asset("elevation").key) as dataset:
        assert dataset.crs.to_epsg() == 3035
        assert dataset.tags()["VERTICAL_DATUM"] == "EPSG:5621"
        assert tuple(dataset.transform)[:6] == (50.0, 0.0, 4_200_000.0, 0.0, -50.0, 3_050_000.0)
        heights = dataset.read(1, masked=True)
    rows, cols = np.nonzero(~np.ma.getmaskarray(heights))
    truth = terrain(4_200_000 + (cols + 0.5) * 50, 3_050_000 - (rows + 0.5) * 50)
    error = heights.compressed() - truth
    # DHHN2016 to EVRF2007 is about a centimetre here; the rest is interpolation of a 25 m grid.
    assert abs(np.median(error) - 0.012) < 0.012
    assert np.sqrt(np.mean(error**2)) < 0.6
    before = {p: p.read_bytes() for p in (store / "tiles").rglob("*") if p.is_file()}
    _, again, code = run(tmp_path, fine)
    assert (code, again[0].status) == (0, Status.UP_TO_DATE)
    assert before == {p: p.read_bytes() for p in (store / "tiles").rglob("*") if p.is_file()}
    catalog = json.loads((store / "stac" / "catalog.json").read_text())
    assert catalog["stac_version"] == "1.1.0"
    # A finished tile costs a resuming worker its manifest and its item.
    asked = []
    for name in ("get", "head", "put", "list", "download", "delete"):
        method = getattr(LocalStore, name)
        monkeypatch.setattr(LocalStore, name, lambda *a, _m=method, _n=name, **k: (asked.append(_n), _m(*a, **k))[1])
    settings = RunSettings.with_flags(store=str(store), grids_dir=tmp_path / "grids")
    assert TileRunner(settings)(plan.jobs[0], lambda _stage, _fraction: None).status is Status.UP_TO_DATE
    assert asked == ["get", "get"]


def test_pixels_of_kilometres_fill_a_tile_and_are_not_aligned(tmp_path, fine):
    path = write_source(
        tmp_path / "world.tif", "EPSG:3035", (4_000_000.0, 2_800_000.0, 4_400_000.0, 3_200_000.0), 20_000
    )
    world = source(path, id="world", resolution_m=20_000.0, accuracy_m=30.0, priority=-1)
    plan, outcomes, code = run(tmp_path, fine, world)
    assert code == 0, outcomes[0].error
    manifest = Manifest.from_json((tmp_path / "store" / plan.jobs[0].manifest_key).read_bytes())
    assert {one.source: one.status for one in manifest.coregistration}["world"] == "too_few"
    assert manifest.quality.void_fraction == 0.0
    assert_files_catalogue_and_map_have_the_same_colours(tmp_path / "store", manifest)


def assert_files_catalogue_and_map_have_the_same_colours(store: Path, manifest: Manifest) -> None:
    wanted = {ref.source.id: source_colour(ref.source.id) for ref in manifest.sources}
    asset = manifest.asset("source_index")
    assert "data-mask" not in asset.roles
    with rasterio.open(store / asset.key) as dataset:
        table = dataset.colormap(1)
    in_file = {ref.source.id: table[number][:3] for number, ref in enumerate(manifest.sources, start=1)}
    app = create_app(ServiceSettings(allowed_hosts=("testserver",)), parts_from(RunSettings(store=str(store)), ()))
    with TestClient(app) as client:
        on_map = {source["id"]: source["colour"] for source in client.get("/map/state").json()["sources"]}
        (item,) = client.get("/stac/search").json()["features"]
    classes = item["assets"]["source_index"]["bands"][0]["classification:classes"]
    in_item = {made["name"]: made["color_hint"] for made in classes if made["value"]}
    assert in_file == wanted
    assert {id_: bytes.fromhex(colour) for id_, colour in in_item.items()} == {k: bytes(v) for k, v in wanted.items()}
    assert on_map == {id_: f"#{colour.lower()}" for id_, colour in in_item.items()}


def test_a_coarse_surface_model_is_aligned_to_the_survey_beside_it(tmp_path, fine):
    path = write_source(
        tmp_path / "coarse.tif",
        "EPSG:3035",
        (4_198_000.0, 2_998_000.0, 4_252_000.0, 3_052_000.0),
        50,
        shift_m=(24.0, -15.0),
        offset_m=4.0,
    )
    coarse = source(path, id="coarse", resolution_m=50.0, surface="DSM", accuracy_m=3.0, priority=-1)
    plan, outcomes, code = run(tmp_path, fine, coarse)
    assert code == 0, outcomes[0].error
    manifest = Manifest.from_json((tmp_path / "store" / plan.jobs[0].manifest_key).read_bytes())
    record = manifest.coregistration[1]
    assert (record.source, record.status) == ("coarse", "converged")
    # The shift to apply is the opposite of how the source was moved.
    assert abs(record.shift_east_m + 24.0) < 1.0
    assert abs(record.shift_north_m - 15.0) < 1.0
    assert abs(record.shift_up_m + 4.0) < 0.2
    assert manifest.quality.void_fraction == 0.0
    assert manifest.surface == "mixed"


def test_every_bad_input_is_one_typed_error_and_the_others_go_on(tmp_path, fine):
    broken = write_source(
        tmp_path / "broken.tif", "EPSG:3035", (4_100_000.0, 3_000_000.0, 4_120_000.0, 3_020_000.0), 50
    )
    broken.write_bytes(broken.read_bytes()[:200_000])
    void = write_source(
        tmp_path / "void.tif",
        "EPSG:3035",
        (4_400_000.0, 3_000_000.0, 4_410_000.0, 3_010_000.0),
        50,
        hole=(slice(None), slice(None)),
    )
    gridless = write_source(
        tmp_path / "gridless.tif", "EPSG:3035", (4_300_000.0, 3_000_000.0, 4_310_000.0, 3_010_000.0), 50
    )
    plan, outcomes, code = run(
        tmp_path,
        fine,
        source(broken, id="broken", resolution_m=50.0),
        source(void, id="void", resolution_m=50.0),
        source(gridless, id="gridless", resolution_m=50.0, vertical_frame="EPSG:5720"),
        tiles=(TILE, "E4100N3000", "E4400N3000", "E4300N3000", "E5000N3000"),
    )
    ends = {outcome.job.tile.id: outcome for outcome in outcomes}
    assert code == 3
    assert ends[TILE].status is Status.DONE
    assert isinstance(ends["E4100N3000"].error, SourceCorrupt)
    assert isinstance(ends["E4400N3000"].error, AllVoid)
    rejected = {one.tile.id: one.error for one in plan.rejected}
    assert isinstance(rejected["E4300N3000"], VerticalError)
    assert isinstance(rejected["E5000N3000"], OutsideCoverage)
    for tile, outcome in ends.items():
        if outcome.error is not None:
            assert outcome.error.tile == tile
            assert outcome.error.remedy
    assert not list((tmp_path / "store" / "tiles").glob("E4[134]*"))


def test_a_tile_that_would_need_too_much_memory_is_not_started(tmp_path, fine):
    _, outcomes, code = run(tmp_path, fine, memory_limit_mb=1)
    assert code == 1
    assert isinstance(outcomes[0].error, MemoryBudgetExceeded)


def test_neighbouring_tiles_agree_on_their_shared_halo(tmp_path, fine):
    from orograph.pipeline.core.grid import Tile
    from orograph.pipeline.planning.planner import Planner
    from orograph.pipeline.resampling.horizontal import use_grids
    from orograph.pipeline.resampling.node_grid import Target
    from orograph.pipeline.sources.refs import FileRef
    from orograph.pipeline.tile.assembly import TileAssembly

    use_grids(tmp_path)

    def probe(href, _anonymous):
        return FileRef(href=href, etag="x", size_bytes=1)

    planner = Planner([fine], ProcessingSettings(), probe)
    shared = Target(10.0, -302_000, 424_950, 300, 100)
    seen = []
    for tile in (Tile(4200, 3000), Tile(4250, 3000)):
        job = planner.job(tile)
        with TileAssembly(job, {"fine": [Path(f.href) for f in job.sources[0].files]}, tmp_path) as assembly:
            layer = assembly.sources[0].layer(shared)
            seen.append(layer.heights_m)
    assert np.isfinite(seen[0]).any()
    assert seen[0].tobytes() == seen[1].tobytes()


def test_a_second_pass_makes_shifts_agree_on_the_edge_two_tiles_share(tmp_path, fine):
    from orograph.infra.runs.run import smoothed

    path = write_source(
        tmp_path / "coarse.tif",
        "EPSG:3035",
        (4_198_000.0, 2_998_000.0, 4_302_000.0, 3_052_000.0),
        50,
        shift_m=(24.0, -15.0),
    )
    coarse = source(path, id="coarse", resolution_m=50.0, surface="DSM", accuracy_m=3.0, priority=-1)
    settings = RunSettings.with_flags(store=str(tmp_path / "store"), grids_dir=tmp_path / "grids")
    request = Request(catalogue=write_catalogue(tmp_path / "catalogue.yaml", fine, coarse), tiles=(TILE, "E4250N3000"))
    plan = request.plan(SETTINGS, settings)
    second = smoothed(plan, make_engine(settings), settings, as_json=True)
    assert {job.run_key for job in second.jobs}.isdisjoint({job.run_key for job in plan.jobs})
    outcomes = execute_plan(second, make_engine(settings), settings, as_json=True)
    assert [outcome.status for outcome in outcomes] == [Status.DONE, Status.DONE]
    corners = []
    for job in second.jobs:
        manifest = Manifest.from_json((tmp_path / "store" / job.manifest_key).read_bytes())
        (record,) = (r for r in manifest.coregistration if r.source == "coarse")
        assert record.details["applied"]
        corners.append(record.details["corners_m"])
    # North-west, north-east, south-west, south-east: the first tile's east side is the second's west side.
    assert (corners[0][1], corners[0][3]) == (corners[1][0], corners[1][2])
    assert abs(corners[0][0][0] + 24.0) < 1.0


def test_published_tiles_are_sources_again_by_their_stac_collection(tmp_path, fine):
    plan, _, code = run(tmp_path, fine)
    assert code == 0
    collection = next((tmp_path / "store" / "stac").glob("*/collection.json"))
    again = source(
        tmp_path / "unused.tif",
        id="again",
        data=StacLocation(href=str(collection), asset="elevation"),
        resolution_m=50.0,
        vertical_frame="EPSG:5621",
    )
    (tmp_path / "second").mkdir()
    second, outcomes, code = run(tmp_path / "second", again)
    assert code == 0, outcomes
    files = [file.href for ref in second.jobs[0].sources for file in ref.files]
    made = Manifest.from_json((tmp_path / "store" / plan.jobs[0].manifest_key).read_bytes())
    assert files == [str(tmp_path / "store" / made.asset("elevation").key)]
    old, new = (
        Manifest.from_json((folder / "store" / job.manifest_key).read_bytes())
        for folder, job in ((tmp_path, plan.jobs[0]), (tmp_path / "second", second.jobs[0]))
    )
    assert new.quality.height_max_m == pytest.approx(old.quality.height_max_m, abs=1e-3)


def test_nothing_served_tells_where_the_sources_lie_yet_the_tile_can_be_made_again(tmp_path, fine):
    plan, _, code = run(tmp_path, fine)
    assert code == 0
    served = [path for root in ("stac", "tiles") for path in (tmp_path / "store" / root).rglob("*") if path.is_file()]
    assert len(served) > 10
    assert not [path for path in served if str(tmp_path).encode() in path.read_bytes()]
    store = open_store(str(tmp_path / "store"))
    settings = RunSettings(store=str(tmp_path / "store"), grids_dir=tmp_path / "grids")
    planner = TilePlanner(Published(store), (), settings, SETTINGS)
    assert planner(plan.jobs[0].tile, (), planner.settings_for(plan.jobs[0].tile)) == plan.jobs[0]


def test_a_tile_without_networks_never_loads_torch(tmp_path):
    fine = source(write_source(tmp_path / "fine.tif", "EPSG:3035", (4_200_000, 3_000_000, 4_220_000, 3_020_000), 50.0),
                  id="fine", resolution_m=50.0, horizontal_crs="EPSG:3035", vertical_frame="EPSG:5621")  # fmt: skip
    code = (
        "import sys; from orograph.infra.cli.app import app; import contextlib\n"
        "with contextlib.suppress(SystemExit): app(sys.argv[1:])\n"
        "print('loaded', [name for name in ('torch', 'ray') if name in sys.modules])"
    )
    arguments = [
        "run",
        "--catalogue",
        str(write_catalogue(tmp_path / "catalogue.yaml", fine)),
        "--source",
        "fine",
        "--tile",
        TILE,
    ]
    arguments += ["--store", str(tmp_path / "store"), "--set", "pixel_size_m=50", "--workers", "1"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert list((tmp_path / "store").rglob("*elevation.tif")), done.stderr
    assert "loaded []" in done.stdout


def test_a_source_that_gives_no_pixel_leaves_no_claim(tmp_path):
    def at(name, west, east, metres, inset=0):
        box = (west + inset, 3_010_000.0 + inset, east - inset, 3_016_000.0 - inset)
        path = write_source(tmp_path / f"{name}.tif", "EPSG:3035", box, metres)
        return source(path, id=name, title=name, resolution_m=float(metres), priority=-ord(name))

    sources = [
        at("a", 4_210_000.0, 4_216_000.0, 50),
        at("b", 4_210_000.0, 4_216_000.0, 200, inset=1_000),
        at("c", 4_215_000.0, 4_221_000.0, 50),
    ]
    plan, outcomes, code = run(tmp_path, *sources)
    assert code == 0, outcomes[0].error
    store = tmp_path / "store"
    manifest = Manifest.from_json((store / plan.jobs[0].manifest_key).read_bytes())
    (index,) = read_products(store, manifest, "source_index")
    shares = {number: np.count_nonzero(index.filled(0) == number) / index.size for number in (1, 2, 3)}
    properties = json.loads(next((store / "stac").rglob(f"{TILE}/{TILE}.json")).read_text())["properties"]
    told = {entry["index"]: entry for entry in properties["dem:sources"]}
    assert {number: entry["id"] for number, entry in told.items()} == {1: "a", 3: "c"}
    assert {number: share for number, share in shares.items() if share} == pytest.approx(
        {number: entry["fraction"] for number, entry in told.items()}
    )
    assert manifest.models == {}, "only the hidden source is coarser than the target"
    assert properties["processing:lineage"] == "a and c: resampled once, blended."


def test_a_source_that_no_operation_reaches_is_told(tmp_path, fine):
    box = (4_210_000.0, 3_010_000.0, 4_214_200.0, 3_014_200.0)
    path = write_source(tmp_path / "abroad.tif", "EPSG:3035", box, 50)
    abroad = source(path, id="abroad", resolution_m=50.0, vertical_frame="EPSG:5710", priority=9)
    plan, outcomes, code = run(tmp_path, fine, abroad)
    assert code == 0, outcomes[0].error
    manifest = Manifest.from_json((tmp_path / "store" / plan.jobs[0].manifest_key).read_bytes())
    assert set(manifest.quality.source_fractions) == {"fine"}
    (rejected,) = manifest.quality.details["sources_rejected"].items()
    assert rejected[0] == "abroad"
    assert "EPSG:5710" in rejected[1]
    assert "area of use" in rejected[1]
    assert str(tmp_path) not in rejected[1]
