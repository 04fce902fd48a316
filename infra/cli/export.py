"""`orograph export`: geographic tiles, HGT files and contours per 1 degree cell, from published tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orograph.infra.cli import options
from orograph.infra.cli.completion import complete_product, complete_tile
from orograph.infra.reporting.console import err, out, print_json

if TYPE_CHECKING:
    from orograph.infra.engines.protocol import Outcome
    from orograph.infra.runs.cell_runner import CellPlan
    from orograph.infra.stores.base import Store
    from orograph.pipeline.settings import RunSettings


def export(
    cell: Annotated[list[str] | None, typer.Option("--cell", help="N47E010; all touched cells by default.")] = None,
    tile: Annotated[
        list[str] | None,
        typer.Option("--tile", help="The cells of a tile, such as E4300N2650.", autocompletion=complete_tile),
    ] = None,
    product: Annotated[
        list[str] | None,
        typer.Option(
            "--product",
            "-p",
            help="geographic, hgt1, hgt3 or contours; repeatable.",
            show_default="all",
            autocompletion=complete_product,
        ),
    ] = None,
    frame: Annotated[
        str | None, typer.Option(help="Vertical frame of the files, e.g. EPSG:5773 (EGM96); the tiles' by default.")
    ] = None,
    via: Annotated[
        str | None,
        typer.Option(help="A frame to pass through, e.g. EPSG:7837 from EVRF2007 to the ellipsoid in Germany."),
    ] = None,
    missing: Annotated[
        str, typer.Option(help="Where no tile is published: void (nodata) or error (cell fails).")
    ] = "void",
    interval: Annotated[float, typer.Option(help="Contour interval, metres.")] = 25.0,
    contour_arc_seconds: Annotated[int, typer.Option(help="Lattice of the contours: 3 or 1.")] = 3,
    contour_format: Annotated[list[str] | None, typer.Option(help="shp, gpkg, fgb; all by default.")] = None,
    zip_hgt: Annotated[bool, typer.Option("--zip", help="Zip the 1 arc-second HGT too.")] = False,
    compression: Annotated[str, typer.Option(help="Of the COG: zstd or lerc-zstd.")] = "zstd",
    store: Annotated[
        str | None,
        typer.Option(
            "--store", "-o", help="Folder or s3://bucket/prefix with published tiles.", show_default=options.STORE
        ),
    ] = None,
    engine: Annotated[str | None, typer.Option("--engine", "-e", help="local or ray.", show_default="local")] = None,
    workers: options.Workers = None,
    grids_dir: Annotated[
        Path | None, typer.Option("--grids-dir", help="Folder of geoid grids.", show_default=options.GRIDS)
    ] = None,
    scratch: Annotated[
        Path | None, typer.Option("--scratch", help="Folder for temporary files.", show_default="the system's")
    ] = None,
    copy_to: Annotated[Path | None, typer.Option(help="Also copy the files into this folder.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Make the 1 degree products of published tiles; cells whose tiles did not change are skipped."""
    from pydantic import ValidationError

    from orograph.infra.engines.environment import apply_gdal_env
    from orograph.infra.runs.cell_runner import plan_cells
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.core.grid import Cell, Tile
    from orograph.pipeline.errors import ConfigError
    from orograph.pipeline.exports.cell_job import PRODUCTS, CellSettings
    from orograph.pipeline.exports.cell_lattice import cells_of_tiles
    from orograph.pipeline.settings import RunSettings, first_fault
    from orograph.pipeline.vertical.catalogue import VerticalCatalogue

    apply_gdal_env()
    run = RunSettings.with_flags(store=store, engine=engine, workers=workers, grids_dir=grids_dir, scratch=scratch)
    try:
        settings = CellSettings.model_validate(
            {
                "products": tuple(product or PRODUCTS),
                "frame": frame,
                "via": via,
                "missing": missing,
                "contour_interval_m": interval,
                "contour_arc_seconds": contour_arc_seconds,
                "contour_formats": tuple(contour_format or ("shp", "gpkg", "fgb")),
                "zip_hgt": zip_hgt,
                "compression": compression,
            }
        )
    except ValidationError as fault:
        raise ConfigError(first_fault(fault)) from fault
    for named in filter(None, (settings.frame, settings.via)):
        VerticalCatalogue.load().frame(named)
    opened = open_store(run.store, endpoint_url=run.s3_endpoint_url, must_exist=True)
    cells = [Cell.parse(text) for text in cell or ()] + list(cells_of_tiles(Tile.parse(text) for text in tile or ()))
    planned = plan_cells(opened, settings, cells or None)
    _show(planned, dry_run=dry_run, as_json=as_json)
    if dry_run:
        return
    outcomes = _run(planned, run, as_json=as_json)
    if copy_to is not None:
        _copy(opened, planned, outcomes, copy_to)
    elif not as_json:
        err.print(
            f"files are in {run.store}; `--copy-to FOLDER` copies them, `orograph catalog items` lists them",
            markup=False,
        )
    _end(planned, outcomes)


def _show(planned: CellPlan, *, dry_run: bool, as_json: bool) -> None:
    if as_json and dry_run:
        print_json(
            {
                "due": [{"cell": job.id, "tiles": [ref.tile.id for ref in job.inputs]} for job in planned.due],
                "up_to_date": [job.id for job in planned.up_to_date],
                "rejected": [{"cell": cell.id, **error.to_dict()} for cell, error in planned.rejected],
            }
        )
        return
    if dry_run:
        for job in planned.due:
            out.print(f"{job.id} from {', '.join(ref.tile.id for ref in job.inputs)}", markup=False)
    err.print(
        f"{len(planned.due)} {'cell' if len(planned.due) == 1 else 'cells'} to make, {len(planned.up_to_date)} up to date",
        markup=False,
    )
    for cell, error in planned.rejected:
        err.print(f"{cell.id} rejected: {error}", markup=False)


def _run(planned: CellPlan, run: RunSettings, *, as_json: bool) -> list[Outcome]:
    from orograph.infra.engines.make import make_engine
    from orograph.infra.engines.protocol import Status
    from orograph.infra.reporting.progress import JsonCells, reporter
    from orograph.infra.runs.cell_runner import CellRunner
    from orograph.infra.stores.open import open_store
    from orograph.stac.publishing.rebuild import rebuild

    outcomes = []
    report = JsonCells() if as_json else reporter(len(planned.due), as_json=False)
    with report:
        for outcome in make_engine(run).run(planned.due, CellRunner(run), report.event):
            report.outcome(outcome)
            outcomes.append(outcome)
    if any(outcome.status in {Status.DONE, Status.UP_TO_DATE} for outcome in outcomes):
        rebuild(open_store(run.store, endpoint_url=run.s3_endpoint_url))
    return outcomes


def _copy(store: Store, planned: CellPlan, outcomes: list[Outcome], folder: Path) -> None:
    from orograph.pipeline.manifest import Manifest

    keys = [job.manifest_key for job in planned.up_to_date]
    keys += [outcome.receipt.manifest_key for outcome in outcomes if outcome.receipt is not None]
    for key in keys:
        for asset in Manifest.from_json(store.get(key)).assets:
            target = folder / asset.name / asset.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            store.download(asset.key, target)
            out.print(str(target), markup=False)


def _end(planned: CellPlan, outcomes: list[Outcome]) -> None:
    failed = sum(outcome.error is not None for outcome in outcomes) + len(planned.rejected)
    if failed:
        raise typer.Exit(3 if len(outcomes) + len(planned.up_to_date) + len(planned.rejected) > failed else 1)
