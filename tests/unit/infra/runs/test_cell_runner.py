"""Cells follow their tiles: exactly those of a changed tile are made again, on the same commit protocol."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio

from orograph.infra.engines.local import LocalEngine
from orograph.infra.engines.protocol import Status
from orograph.infra.runs.cell_runner import CellRunner, plan_cells, published_tiles
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.core.software import software_versions
from orograph.pipeline.errors import AllVoid, MemoryBudgetExceeded, OutsideCoverage
from orograph.pipeline.exports.cell import export_cell
from orograph.pipeline.exports.cell_job import CellJob, CellSettings, TileRef
from orograph.pipeline.exports.cell_lattice import point_lattice, tiles_of_cell
from orograph.pipeline.exports.hgt import VOID, read_hgt
from orograph.pipeline.manifest import Manifest, manifest_key
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.vertical import VerticalCatalogue
from orograph.stac.documents.collections import EXPORTS
from orograph.stac.documents.dem_profile import contributing
from orograph.stac.documents.items import item_from_manifest
from orograph.stac.publishing.publish import present_run_key, rebuild
from orograph.stac.serving.search import ItemIndex
from tests.support.catalogue_world import make_manifest, make_source
from tests.support.formats_world import hills, plane, write_tile
from tests.support.published_world import World

CELL = Cell(47, 10)
QUICK = CellSettings(products=("hgt3",))


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "made").mkdir()
    return World(LocalStore(tmp_path / "store"), tmp_path / "made", hills)


def run(world: World, settings: CellSettings, cells: list[Cell] | None = None) -> dict[str, Status]:
    planned = plan_cells(world.store, settings, cells)
    runner = CellRunner(RunSettings(store=world.store.url, scratch=world.folder))
    outcomes = LocalEngine().run(planned.due, runner, lambda _: None)
    found = {}
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
        found[outcome.job.id] = outcome.status
    return found


def published_cell(world: World, collection: str, item_id: str = CELL.id) -> Manifest:
    run_key = present_run_key(world.store, collection, item_id)
    assert run_key is not None
    return Manifest.from_json(world.store.get(manifest_key(CELL.id, run_key)))


def test_every_product_of_a_cell(world: World) -> None:
    world.publish(tiles_of_cell(CELL))
    assert run(world, CellSettings(missing="error"), [CELL]) == {"N47E010": Status.DONE}
    manifest = published_cell(world, "dem-eu-geographic")
    names = {asset.name: asset.filename for asset in manifest.assets}
    assert names == {
        "dem": "N47E010_dem.tif",
        "hgt1": "N47E010.hgt",
        "hgt3": "N47E010.SRTMGL3.hgt.zip",
        "contours_shp": "N47E010_contours.shp.zip",
        "contours_gpkg": "N47E010_contours.gpkg",
        "contours_fgb": "N47E010_contours.fgb",
    }
    folder = Path(world.store.url) / manifest.asset_prefix
    coarse, fine = read_hgt(folder / names["hgt3"])[1], read_hgt(folder / names["hgt1"])[1]
    truth = hills(*point_lattice(CELL, 3601).project())
    assert np.abs(fine - truth).max() < 8  # 100 m pixels round the hilltops off
    assert coarse.shape == (1201, 1201)
    with rasterio.open(folder / names["dem"]) as dataset:
        assert dataset.shape == (3600, 3600)
    assert "N47E010/N47E010.shp" in zipfile.ZipFile(folder / names["contours_shp"]).namelist()
    assert manifest.vertical_frame == "EPSG:5621"
    assert manifest.settings["tiles"].keys() == {tile.id for tile in tiles_of_cell(CELL)}
    assert list(world.folder.iterdir()) == []


def test_a_changed_tile_makes_exactly_its_cells_due(world: World) -> None:
    tiles = [Tile.parse("E4300N2650"), Tile.parse("E4450N2650")]
    world.publish(tiles)
    assert published_tiles(world.store) == tuple(tiles)
    first = plan_cells(world.store, QUICK)
    assert [job.id for job in first.due] == [
        "N46E009", "N46E010", "N46E011", "N46E012", "N47E009", "N47E010", "N47E011", "N47E012",
    ]  # fmt: skip
    run(world, QUICK)
    again = plan_cells(world.store, QUICK)
    assert again.due == ()
    assert len(again.up_to_date) == 8
    world.publish(tiles[1:], edition="2")
    changed = plan_cells(world.store, QUICK)
    assert {job.id for job in changed.due} == {"N46E011", "N46E012", "N47E011", "N47E012"}
    assert set(run(world, QUICK).values()) == {Status.DONE}
    assert plan_cells(world.store, QUICK).due == ()
    # Back to the first edition: everything is there already, only the items are repointed.
    world.publish(tiles[1:], edition="1")
    assert set(run(world, QUICK).values()) == {Status.UP_TO_DATE}


def test_equal_cells_are_equal_bytes(world: World, tmp_path: Path) -> None:
    world.publish(tiles_of_cell(CELL))
    run(world, CellSettings(products=("geographic", "contours")), [CELL])
    (tmp_path / "other").mkdir()
    other = World(LocalStore(tmp_path / "store2"), tmp_path / "other", hills)
    other.publish(tiles_of_cell(CELL))
    run(other, CellSettings(products=("geographic", "contours")), [CELL])
    for info in world.store.list("tiles/N47E010/"):
        if "item-" not in info.key:
            assert other.store.get(info.key) == world.store.get(info.key), info.key


def test_frames_are_moved_and_recorded(world: World) -> None:
    flat = World(world.store, world.folder, plane)
    flat.publish(tiles_of_cell(CELL))
    run(flat, CellSettings(products=("geographic",), frame="EPSG:3855"), [CELL])
    manifest = published_cell(world, "dem-eu-geographic", "N47E010_EPSG3855")
    assert manifest.vertical_frame == "EPSG:3855"
    record = next(record for record in manifest.operations if record.source == "export")
    assert (record.frame_from, record.frame_to) == ("EPSG:5621", "EPSG:3855")
    with rasterio.open(Path(world.store.url) / manifest.asset("dem").key) as dataset:
        height = float(dataset.read(1, window=((1800, 1801), (1800, 1801)))[0, 0])
    lattice = point_lattice(CELL, 3)
    truth = plane(*(axis[1, 1] for axis in lattice.project()))
    assert height - truth == pytest.approx(record.shift_min_m, abs=0.05 + 0.02)


def test_a_frame_is_passed_through_on_the_way_to_the_ellipsoid(world: World, shared) -> None:
    world.publish(tiles_of_cell(CELL))
    settings = CellSettings(products=("hgt3",), frame="EPSG:4937", via="EGM96")
    planned = plan_cells(world.store, settings, [CELL])
    run_settings = RunSettings(store=world.store.url, scratch=world.folder, grids_dir=shared("proj-grids"))
    CellRunner(run_settings)(planned.due[0], lambda *_: None)
    record = published_cell(world, "dem-eu-exports", "N47E010_hgt3_EPSG4937").operations[-1]
    assert record.steps[0] == "derived:egm96-evrf2007 (inverse)"
    assert list(record.grids) == ["us_nga_egm96_15.tif"]
    assert 45 < record.shift_min_m < record.shift_max_m < 53


def test_missing_parents_are_void_or_refused(world: World) -> None:
    world.publish([Tile.parse("E4350N2700")])
    rejected = plan_cells(world.store, CellSettings(products=("hgt3",), missing="error"), [CELL])
    assert rejected.due == ()
    assert isinstance(rejected.rejected[0][1], OutsideCoverage)
    assert "E4300N2700" in str(rejected.rejected[0][1])
    run(world, QUICK, [CELL])
    samples = read_hgt(
        Path(world.store.url) / published_cell(world, "dem-eu-exports", "N47E010_hgt3").asset("hgt3").key
    )[1]
    assert 0.1 < (samples == -32768).mean() < 0.9
    nowhere = plan_cells(world.store, QUICK, [Cell(60, 10)])
    assert [cell.id for cell, _ in nowhere.rejected] == ["N60E010"]


def test_exports_in_another_frame_or_format_leave_the_first_published(world: World) -> None:
    world.publish([Tile.parse("E4350N2700")])
    other = CellSettings(products=("hgt3",), missing="void", frame="EPSG:3855")
    both = CellSettings(products=("geographic", "hgt3"), missing="void")
    for settings in (QUICK, other):
        run(world, settings, [CELL])
    shown = [present_run_key(world.store, "dem-eu-exports", f"N47E010_hgt3{end}") for end in ("", "_EPSG3855")]
    assert None not in shown
    assert len(set(shown)) == 2
    for settings in (QUICK, other):
        assert [job.run_key for job in plan_cells(world.store, settings, [CELL]).up_to_date] == [
            shown[(QUICK, other).index(settings)]
        ]
    assert plan_cells(world.store, both, [CELL]).due
    rebuild(world.store)
    index = ItemIndex(world.store).snapshot()
    assert {name.split("/")[1] for name in index.names if "exports" in name} == {
        "N47E010_hgt3",
        "N47E010_hgt3_EPSG3855",
    }


def test_a_cell_touched_only_in_its_margin_is_void(world: World) -> None:
    empty = World(world.store, world.folder, lambda east, north: np.full(np.broadcast(east, north).shape, np.nan))
    empty.publish([Tile.parse("E4350N2700")])
    with pytest.raises(AllVoid):
        run(empty, QUICK, [CELL])
    assert present_run_key(world.store, "dem-eu-exports", "N47E010_hgt3") is None


def test_damaged_parent_tiles_are_named(world: World) -> None:
    (manifest,) = world.publish([Tile.parse("E4350N2700")])
    path = Path(world.store.url) / manifest.assets[0].key
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(Exception, match="E4350N2700"):
        run(world, QUICK, [CELL])
    assert not list(world.store.list("tiles/N47E010/"))


def test_memory_is_projected_before_anything_is_read(world: World) -> None:
    world.publish([Tile.parse("E4350N2700")])
    planned = plan_cells(world.store, CellSettings(contour_arc_seconds=1), [CELL])
    runner = CellRunner(RunSettings(store=world.store.url, scratch=world.folder, memory_limit_mb=100))
    (outcome,) = LocalEngine().run(planned.due, runner, lambda _: None)
    assert isinstance(outcome.error, MemoryBudgetExceeded)
    assert not list(world.store.list("tiles/N47E010/"))


def test_a_cell_claims_what_its_tiles_do(tmp_path: Path) -> None:
    tiles = sorted(tiles_of_cell(CELL))[:2]
    files = {tile: write_tile(tmp_path, tile, 250.0, hills) for tile in tiles}
    sources = tuple(make_source(name, priority=priority) for name, priority in (("wide", 1), ("sliver", 0)))
    plain = [make_manifest(None, tile.id, sources=sources, seed=seed) for seed, tile in enumerate(tiles)]
    manifests = [
        changed(plain[0], {"wide": 1.0 - 4e-7, "sliver": 4e-7}, 0.25, {"superres": "keys6"}),
        changed(plain[1], {"wide": 1.0}, 0.05, {"superres": "keys6+superres-s", "superres_sha256": "a" * 64}),
    ]
    refs = tuple(TileRef(tile, m.run_key, "k", "0" * 64, "m") for tile, m in zip(tiles, manifests, strict=True))
    job = CellJob(CELL, refs, CellSettings(products=("hgt3",), frame="EPSG:3855"))
    operation = VerticalCatalogue.load().operation("EPSG:5621", "EPSG:3855", grids_dir=tmp_path)
    made = export_cell(job, files, manifests, tmp_path, operation=operation, progress=lambda *_: None)
    manifest = made.manifest(())
    samples = read_hgt(tmp_path / "N47E010.SRTMGL3.hgt.zip")[1]
    highest, lowest = samples.max(), samples[samples != VOID].min()
    assert (round(manifest.quality.height_max_m), round(manifest.quality.height_min_m)) == (highest, lowest)
    assert manifest.quality.filled_fraction == pytest.approx(0.15)
    assert manifest.models == {"superres": "keys6+superres-s", "superres_sha256": "a" * 64}
    assert manifest.software == software_versions()
    assert [ref.source.id for ref in manifest.sources] == ["wide", "sliver"], "best first"
    assert [len(ref.files) for ref in manifest.sources] == [2, 2]
    assert {ref.source.id for ref in contributing(manifest)} == {"wide", "sliver"}
    assert [record.details["tile"] for record in manifest.coregistration] == [tile.id for tile in tiles]
    properties = item_from_manifest(manifest, asset_href=str, collection=EXPORTS)["properties"]
    assert properties["gsd"] == pytest.approx(3 * 30.87)
    assert properties["dem:filled_fraction"] == pytest.approx(0.15)
    assert "from these to the cell" in properties["processing:lineage"]
    assert "voids filled" in properties["processing:lineage"]


def changed(manifest: Manifest, fractions: dict[str, float], filled: float, models: dict[str, str]) -> Manifest:
    quality = manifest.quality.model_copy(update={"source_fractions": fractions, "filled_fraction": filled})
    return manifest.model_copy(update={"quality": quality, "models": models})
