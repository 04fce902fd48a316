"""`orograph demo`: a complete run on synthetic terrain, and its comparison with the truth."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.cli import options
from orograph.infra.reporting.console import err, out, print_json
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE

if TYPE_CHECKING:
    from orograph.pipeline.demo.assess import Assessment


def demo(
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for sources and results.")] = Path("demo-output"),
    engine: Annotated[str, typer.Option("--engine", "-e", help="ray or local.")] = "ray",
    seed: Annotated[int, typer.Option("--seed", help="Another number, another world.")] = 7,
    *,
    real: Annotated[
        bool, typer.Option("--real", help="Real terrain: downloads a small area by catalogue name.")
    ] = False,
    area: Annotated[str, typer.Option("--area", "-a", help="Of --real: west,south,east,north in degrees.")] = "",
    sources: Annotated[str, typer.Option("--sources", "-s", help="Of --real: DTM and DSM, separated by a comma.")] = "",
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as one JSON document.")] = False,
) -> None:
    """Make two national DTMs and a global DSM, harmonise them, publish tiles, and compare with the truth.

    With `--real`, a real DTM and a real DSM instead, with bare earth and super-resolution.
    """
    if real:
        _real(folder, engine, area, sources, catalogue, as_json=as_json)
        return
    from orograph.infra.engines.make import make_engine
    from orograph.infra.runs.request import Request
    from orograph.infra.runs.run import execute_plan, summarise
    from orograph.pipeline.demo.assess import assess
    from orograph.pipeline.demo.world import TILES, make_world
    from orograph.pipeline.settings import ProcessingSettings, RunSettings

    start = time.monotonic()

    def say(text: str) -> None:
        if not as_json:
            err.print(f"[dim]{time.monotonic() - start:5.1f} s[/] {text}")

    store = folder / "store"
    world = make_world(folder / "sources", seed, lambda text: say(f"making the world: {text}"))
    run = RunSettings.with_flags(store=str(store.absolute()), engine=engine, workers=2, grids_dir=folder / "grids")
    request = Request(catalogue=world.catalogue, tiles=tuple(tile.id for tile in TILES))
    say("planning")
    plan = request.plan(ProcessingSettings(), run)
    say(f"running {len(plan.jobs)} tiles on the {engine} engine")
    outcomes = execute_plan(plan, make_engine(run), run)
    code = summarise(outcomes, plan, run)
    if code:
        raise typer.Exit(code)
    say("comparing with the truth")
    products = _products(store, plan)
    elevations = {tile: path for (tile, name), path in products.items() if name == "elevation"}
    assessment = assess(world, plan.jobs, elevations, run.grids_dir)
    _draw(world, plan, products, folder / "demo.png")
    say("done")
    if as_json:
        print_json(_document(assessment, outcomes))
    else:
        _show(assessment, folder, store)


def _real(folder: Path, engine: str, area: str, sources: str, catalogue: Path, *, as_json: bool) -> None:
    from orograph.infra.runs.real_demo import AREA, SOURCES, Real

    ids = tuple(name.strip() for name in sources.split(",") if name.strip()) or SOURCES
    asked = Real(folder, area=area or AREA, source_ids=ids, catalogue=catalogue, engine=engine)
    code, facts = asked.run(lambda text: None if as_json else err.print(f"[dim]{text}[/]"))
    if code:
        raise typer.Exit(code)
    if as_json:
        print_json(facts)
        return
    for id_, share in facts["shares"].items():
        out.print(f"{id_}: {share:.2%} of its tile", markup=False)
    out.print(f"models     {', '.join(f'{name} {value}' for name, value in facts['models'].items())}", markup=False)
    out.print(f"sources    {'; '.join(facts['attributions'])}", markup=False)
    out.print(f"Picture    {facts['picture']}", markup=False)
    out.print(f"Map        orograph serve --store {folder / 'store'}", markup=False)


def _products(store: Path, plan: Any) -> dict[tuple[str, str], Path]:
    from orograph.pipeline.manifest import Manifest

    found = {}
    for job in plan.jobs:
        manifest = Manifest.from_json((store / job.manifest_key).read_bytes())
        for asset in manifest.assets:
            found[job.tile.id, asset.name] = store / asset.key
    return found


def _draw(world: Any, plan: Any, products: dict[tuple[str, str], Path], path: Path) -> None:
    from orograph.pipeline.demo.picture import draw

    tiles = [job.tile for job in plan.jobs]
    names = {number: ref.source.title for number, ref in enumerate(plan.jobs[0].sources, start=1)}
    draw(world, tiles, products, names, path)


def _document(assessment: Assessment, outcomes: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from orograph.infra.reporting.progress import outcome_document

    return {**asdict(assessment), "tiles": [outcome_document(outcome) for outcome in outcomes]}


def _show(assessment: Assessment, folder: Path, store: Path) -> None:
    from rich.table import Table

    true_east, true_north = assessment.shift_true_m
    table = Table(title="Horizontal offset of the global model, metres")
    for name in ("tile", "true east", "found east", "true north", "found north"):
        table.add_column(name, justify="left" if name == "tile" else "right")
    for tile, (east, north) in assessment.shift_found_m.items():
        table.add_row(tile, f"{true_east:.2f}", f"{east:.2f}", f"{true_north:.2f}", f"{north:.2f}")
    out.print(table)
    table = Table(title="Error against the truth, metres")
    for name in ("heights", "RMSE on open terrain", "median", "RMSE with canopy"):
        table.add_column(name, justify="left" if name == "heights" else "right")
    for error in assessment.errors:
        table.add_row(error.what, f"{error.rmse_open_m:.2f}", f"{error.median_m:+z.2f}", f"{error.rmse_m:.2f}")
    out.print(table)
    table = Table(title="Step across the border, metres")
    for name in ("where", "as delivered", "in the tiles"):
        table.add_column(name, justify="left" if name == "where" else "right")
    for step in assessment.steps:
        table.add_row(step.what, f"{step.before_m:+z.4f}", f"{step.after_m:+z.4f}")
    out.print(table)
    out.print(f"\nPicture    {folder / 'demo.png'}", markup=False)
    out.print(f"Catalogue  {store}/stac/catalog.json  (STAC; any STAC browser or pystac reads it)", markup=False)
    out.print(f"Map        orograph serve --store {store}", markup=False)
    out.print(f"Again      orograph demo --out {folder}  (finds every tile up to date)", markup=False)
