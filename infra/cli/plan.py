"""`orograph plan`: show the work of a run without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.cli import options
from orograph.infra.cli.settings_table import SettingsOption
from orograph.infra.reporting.console import err, out, print_json
from orograph.infra.runs.request import Request
from orograph.pipeline.errors import SourceInaccessible
from orograph.pipeline.settings import ProcessingSettings

if TYPE_CHECKING:
    from orograph.pipeline.planning.planner import Plan


_MOST_NOTES = 20


@options.takes_request
def plan(
    request: Request,
    processing: ProcessingSettings,
    *,
    store: options.StoreUrl = None,
    grids_dir: options.GridsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    settings_table: SettingsOption = False,
) -> None:
    """List tiles, sources, bytes to read and memory, without running anything."""
    del settings_table
    from orograph.infra.runs.model_weights import WeightsReader, named_by_content
    from orograph.infra.runs.replacements import planned_notes
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.settings import RunSettings

    settings = RunSettings.with_flags(store=store, grids_dir=grids_dir)
    processing, weights = named_by_content(processing, settings)
    planned = request.plan(processing, settings)
    notes = planned_notes(
        open_store(settings.store, endpoint_url=settings.s3_endpoint_url), planned.jobs, WeightsReader(at_hand=weights)
    )
    show(planned, as_json=as_json, notes=notes)


def show(planned: Plan, *, as_json: bool, notes: Sequence[str] = ()) -> None:
    """Print a plan as a table or as JSON; rejected tiles set the exit code as in a run."""
    rows = [_row(job, planned) for job in planned.jobs]
    rejected = [{"tile": one.tile.id, **one.error.to_dict()} for one in planned.rejected]
    if as_json:
        suspicious = [asdict(warned) for warned in planned.warnings]
        print_json(
            {
                "tiles": rows,
                "rejected": rejected,
                "suspicious": suspicious,
                "frame_notes": frame_notes(planned),
                "notes": list(notes),
                "bytes_to_read": planned.bytes_to_read,
            }
        )
    else:
        _show_table(planned, rows, notes)
    if rejected:
        denied = any(isinstance(one.error, SourceInaccessible) for one in planned.rejected)
        raise typer.Exit(4 if denied else 3 if rows else planned.rejected[0].error.exit_code)


def warn(planned: Plan, notes: Sequence[str] = ()) -> None:
    """Print notes on the plan, and suspicious planned files."""
    for note in notes:
        err.print(f"note: {note}", markup=False)
    for note in frame_notes(planned)[:_MOST_NOTES]:
        err.print(f"outside: {note}", markup=False)
    for warned in planned.warnings:
        err.print(f"suspicious: {warned}", markup=False)


def frame_notes(planned: Plan) -> list[str]:
    """Sentences on heights outside the area of use of their operations, by tile."""
    return [
        f"tile {tile}: {operation.shortfall}"
        for tile, operations in planned.vertical.items()
        for operation in operations
        if operation.shortfall
    ]


def _show_frames(planned: Plan) -> None:
    """Print each source's vertical operation with accuracy, grids, and the share of the source that it covers."""
    from rich.table import Table

    rows: dict[tuple[str, ...], list[float]] = {}
    for operations in planned.vertical.values():
        for operation in operations:
            rows.setdefault(
                (
                    operation.source,
                    f"{operation.frame_from} to {operation.frame_to}",
                    operation.operation + (" (derived)" if operation.derived else ""),
                    f"{operation.accuracy_m:.3f}",
                    ", ".join(operation.grids) or "-",
                ),
                [],
            ).append(operation.share)
    if not rows:
        return
    table = Table(title="vertical operations")
    for name in ("source", "frames", "operation", "accuracy m", "grids", "tiles", "covers"):
        table.add_column(name, justify="right" if name in {"accuracy m", "tiles", "covers"} else "left")
    for row, shares in rows.items():
        low, high = (f"{100 * share:.0f} %" for share in (min(shares), max(shares)))
        table.add_row(*row, str(len(shares)), high if low == high else f"{low} to {high}")
    out.print(table)


def _show_table(planned: Plan, rows: list[dict[str, Any]], notes: Sequence[str]) -> None:
    from rich.table import Table

    table = Table(title=f"{len(rows)} tiles, {planned.bytes_to_read / 2**20:.1f} MB to read")
    for name in ("tile", "run key", "sources, best first", "files", "MB to read", "peak MB"):
        table.add_column(name, justify="right" if name in {"files", "MB to read", "peak MB"} else "left")
    for row in rows:
        table.add_row(
            row["tile"],
            row["run_key"][:12],
            ", ".join(row["sources"]),
            str(row["files"]),
            f"{row['bytes_to_read'] / 2**20:.1f}",
            f"{row['projected_peak_bytes'] / 2**20:.0f}",
        )
    out.print(table)
    _show_frames(planned)
    warn(planned, notes)
    for one in planned.rejected:
        # The error's own [tile ..., source ...] must not be read as markup.
        err.print(f"rejected: {one.error.at(tile=one.tile.id)}", markup=False)
    if not rows and not planned.rejected:
        err.print("nothing to do: no source has data in the area")


def _row(job: Any, planned: Plan) -> dict[str, Any]:
    from orograph.pipeline.tile.memory import projected_peak_bytes

    return {
        "tile": job.tile.id,
        "run_key": job.run_key,
        "sources": [ref.source.id for ref in job.sources],
        "files": sum(ref.file_count for ref in job.sources),
        "bytes_to_read": planned.bytes_of(job),
        "projected_peak_bytes": projected_peak_bytes(job),
        "vertical": [asdict(operation) for operation in planned.vertical.get(job.tile.id, ())],
    }
