"""`orograph validate`: tiles or any raster against control points, profiles or another raster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from orograph.infra.cli.grids import GridsDir, grids_folder
from orograph.infra.reporting.console import err, out, print_json

_RASTERS = (".tif", ".tiff", ".hgt", ".vrt", ".asc", ".img")


def validate(
    target: Annotated[Path, typer.Argument(help="Raster of heights, or a folder with tiles such as a run's store.")],
    control: Annotated[
        Path,
        typer.Option(
            "--control", "-c", help="Points (CSV, text, GeoPackage, Parquet, ICESat-2 HDF5) or another raster."
        ),
    ],
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report.")] = Path("validation"),
    frame: Annotated[str | None, typer.Option(help="Vertical frame of the raster, if it declares none.")] = None,
    control_frame: Annotated[
        str | None, typer.Option("--control-frame", help="Vertical frame of the control, if it declares none.")
    ] = None,
    crs: Annotated[
        str | None, typer.Option(help="CRS of the points; geographic WGS 84 where none is declared.")
    ] = None,
    x: Annotated[str | None, typer.Option("--x", help="Column of longitude or easting, by name or number.")] = None,
    y: Annotated[str | None, typer.Option("--y", help="Column of latitude or northing.")] = None,
    height: Annotated[str | None, typer.Option("--height", help="Column of the height.")] = None,
    sigma: Annotated[str | None, typer.Option("--sigma", help="Column of the height's standard deviation.")] = None,
    cover: Annotated[str | None, typer.Option("--cover", help="Column of the land-cover class.")] = None,
    epoch: Annotated[float | None, typer.Option(help="Decimal year of the control, for frames that move.")] = None,
    uncertainty: Annotated[Path | None, typer.Option(help="Raster of standard deviations; tiles bring theirs.")] = None,
    land_cover: Annotated[Path | None, typer.Option(help="Raster of land-cover classes.")] = None,
    source_index: Annotated[Path | None, typer.Option(help="Raster of source numbers; tiles bring theirs.")] = None,
    worst_slope: Annotated[
        float | None, typer.Option("--worst-slope", min=0, max=90, help="Leave out steeper terrain, degrees.")
    ] = None,
    grids_dir: GridsDir = None,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw maps and diagrams.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure heights against control: bias, NMAD, RMSE, LE90 by slope, aspect, cover, source and distance to borders.

    Heights of the control are moved to the raster's vertical frame by the pinned operations.
    """
    from orograph.pipeline.validation import ControlColumns, ValidationOptions, read_control
    from orograph.pipeline.validation import validate as compare
    from orograph.pipeline.validation.report import write_validation
    from orograph.pipeline.validation.validate import control_of_raster, rasters_of

    if control.suffix.lower() in _RASTERS:
        known = control_of_raster(control)
    else:
        known = read_control(control, ControlColumns(x=x, y=y, height=height, sigma=sigma, cover=cover, crs=crs))
    options = ValidationOptions(
        frame=frame,
        control_frame=control_frame,
        epoch=epoch,
        uncertainty=uncertainty,
        land_cover=land_cover,
        source_index=source_index,
        worst_slope_deg=worst_slope,
    )
    found = compare(rasters_of(target), known, grids_folder(grids_dir), options)
    document = write_validation(found, out_dir, pictures=pictures)
    if as_json:
        print_json(document)
        return
    _print(document, out_dir)
    for note in document["notes"]:
        err.print(f"note: {note}", markup=False)


def _print(document: dict[str, Any], out_dir: Path) -> None:
    from rich.table import Table

    table = Table("class", "points", "median", "NMAD", "RMSE", "LE90", "1 sigma", "1.96 sigma", box=None)
    rows = [("all points", document["overall"])]
    for kind in ("slope", "aspect", "cover", "source", "border"):
        rows += [(f"{kind} {name}", figures) for name, figures in document.get(f"by_{kind}", {}).items()]
    for name, figures in rows:
        table.add_row(
            name,
            f"{figures['count']:,}",
            *(f"{figures[key]:.3f} m" for key in ("median_m", "nmad_m", "rmse_m", "le90_m")),
            *("" if figures[key] is None else f"{figures[key]:.1%}" for key in ("coverage_68", "coverage_95")),
        )
    out.print(table)
    out.print(
        f"heights in {document['vertical_frame']}, control from {document['control_frame']} by {document['operation']}",
        markup=False,
    )
    out.print(f"report in {out_dir / 'index.html'}", markup=False)
