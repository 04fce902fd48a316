"""`orograph run`: make and publish tiles; the same command again resumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orograph.infra.cli import options
from orograph.infra.cli.settings_table import SettingsOption
from orograph.infra.reporting.console import err
from orograph.infra.runs.request import Request
from orograph.pipeline.settings import ProcessingSettings


@options.takes_request
def run(
    request: Request,
    processing: ProcessingSettings,
    *,
    store: options.StoreUrl = None,
    engine: Annotated[str | None, typer.Option("--engine", "-e", help="local or ray.", show_default="local")] = None,
    workers: options.Workers = None,
    grids_dir: options.GridsDir = None,
    scratch: Annotated[
        Path | None, typer.Option("--scratch", help="Folder for temporary files.", show_default="the system's")
    ] = None,
    memory_limit_mb: Annotated[
        int | None,
        typer.Option(
            "--memory-limit-mb", help="Tiles with a larger projected peak memory are rejected.", show_default="1500"
        ),
    ] = None,
    smooth_shifts: Annotated[
        bool,
        typer.Option("--smooth-shifts", help="Estimate all tiles first and make shifts continuous across their edges."),
    ] = False,
    replace_frame: Annotated[
        bool, typer.Option("--replace-frame", help="Replace published tiles of another vertical frame.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print tiles, sources, bytes and memory, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
    settings_table: SettingsOption = False,
) -> None:
    """Make the tiles of an area and publish them."""
    del settings_table
    from orograph.infra.cli.plan import show, warn
    from orograph.infra.engines.make import check_gpus, make_engine
    from orograph.infra.runs.model_weights import WeightsReader, keep_models, named_by_content
    from orograph.infra.runs.replacements import check_frames, planned_notes
    from orograph.infra.runs.run import execute_plan, smoothed, summarise
    from orograph.infra.stores.open import check_writable, open_store
    from orograph.pipeline.settings import RunSettings

    settings = RunSettings.with_flags(
        store=store,
        engine=engine,
        workers=workers,
        grids_dir=grids_dir,
        scratch=scratch,
        memory_limit_mb=memory_limit_mb,
    )
    note = check_gpus(processing, settings)
    if note is not None:
        err.print(f"note: {note}", markup=False)
    processing, weights = named_by_content(processing, settings)
    planned = request.plan(processing, settings, keep=not dry_run)
    products = open_store(settings.store, endpoint_url=settings.s3_endpoint_url)
    notes = planned_notes(products, planned.jobs, WeightsReader(at_hand=weights))
    if not replace_frame:
        check_frames(products, planned.jobs)
    if dry_run:
        show(planned, as_json=as_json, notes=notes)
        return
    warn(planned, notes)
    if not planned.jobs and not planned.rejected:
        err.print("nothing to do: no source has data in the area")
        return
    check_writable(products)
    keep_models(products, weights)
    if smooth_shifts:
        planned = smoothed(planned, make_engine(settings), settings, as_json=as_json)
    results = execute_plan(planned, make_engine(settings), settings, as_json=as_json)
    code = summarise(results, planned, settings, as_json=as_json, notes=notes)
    if code:
        raise typer.Exit(code)
