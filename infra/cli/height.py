"""`orograph height`: transform one height between vertical frames and show the operations."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import typer

from orograph.infra.cli.grids import GridsDir, grids_folder
from orograph.infra.reporting.console import out, print_json


def height(
    lon_deg: Annotated[float | None, typer.Argument(metavar="LON", help="Longitude, degrees.")] = None,
    lat_deg: Annotated[float | None, typer.Argument(metavar="LAT", help="Latitude, degrees.")] = None,
    height_m: Annotated[float | None, typer.Argument(metavar="H", help="Height, metres.")] = None,
    frame_from: Annotated[
        str, typer.Option("--from", metavar="FRAME", help="Frame of the height, e.g. EPSG:5709 or NAP.")
    ] = "",
    frame_to: Annotated[str, typer.Option("--to", help="Frame wanted.")] = "EPSG:5621",
    via: Annotated[str | None, typer.Option(help="A frame to pass through.")] = None,
    method: Annotated[str, typer.Option(help="pinned, or opendem for OpenDEM Europe's constants.")] = "pinned",
    epoch: Annotated[float | None, typer.Option(help="Decimal year, for frames that move.")] = None,
    grids_dir: GridsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    frames: Annotated[bool, typer.Option("--frames", help="List the known frames and stop.")] = False,
) -> None:
    """Move one height from frame to frame: 6.02 50.75 100 --from EPSG:5709 --to EPSG:5621."""
    from orograph.pipeline.errors import UsageError
    from orograph.pipeline.vertical import VerticalCatalogue

    if frames:
        _list_frames(as_json=as_json)
        return
    if lon_deg is None or lat_deg is None or height_m is None or not frame_from:
        raise UsageError("LON, LAT, H and --from are needed", remedy="see `orograph height --help`")
    if not math.isfinite(height_m):
        raise UsageError(f"the height must be finite, got {height_m}")
    if method not in {"pinned", "opendem"}:
        raise UsageError(f"unknown method {method!r}", remedy="use pinned or opendem")
    chosen: Literal["pinned", "opendem"] = "opendem" if method == "opendem" else "pinned"
    operation = VerticalCatalogue.load().operation(
        frame_from, frame_to, grids_dir=grids_folder(grids_dir), epoch=epoch, method=chosen, via=via
    )
    frame_from, frame_to = operation.frame_from, operation.frame_to
    shift_m = operation.shift(lon_deg, lat_deg)
    document = {
        "lon_deg": lon_deg,
        "lat_deg": lat_deg,
        "height_from_m": height_m,
        "height_to_m": round(height_m + shift_m, 4),
        "shift_m": round(shift_m, 4),
        "frame_from": frame_from,
        "frame_to": frame_to,
        "operation": operation.id,
        "steps": list(operation.labels),
        "derived": operation.derived,
        "accuracy_m": round(operation.accuracy_m, 4),
        "grids": {grid.name: grid.sha256 for grid in operation.grids},
        "notes": list(operation.notes),
    }
    if as_json:
        print_json(document)
        return
    out.print(f"[bold]{document['height_to_m']:.4f} m[/] in {frame_to} (shift {shift_m:+.4f} m)")
    out.print(f"operation {operation.id}{', derived' if operation.derived else ''}", markup=False)
    out.print(f"accuracy  {operation.accuracy_m:.3f} m (1 sigma)")
    for grid in operation.grids:
        out.print(f"grid      {grid.name}  sha256 {grid.sha256[:16]}...")
    for note in operation.notes:
        out.print(f"note      {note}", markup=False)


def _list_frames(*, as_json: bool) -> None:
    from rich.table import Table

    from orograph.pipeline.vertical import VerticalCatalogue

    catalogue = VerticalCatalogue.load()
    if as_json:
        print_json({name: frame.model_dump(mode="json") for name, frame in catalogue.frames.items()})
        return
    table = Table("frame", "name", "countries", "targets", box=None)
    for name, frame in catalogue.frames.items():
        table.add_row(name, frame.name, " ".join(frame.countries), str(len(catalogue.targets(name))))
    out.print(table)
