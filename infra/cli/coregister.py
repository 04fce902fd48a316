"""`orograph coregister`: align one raster file with another and show how well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from orograph.infra.reporting.console import err, out, print_json
from orograph.pipeline.errors import CoregistrationError


def coregister(
    reference: Path = typer.Argument(..., help="Raster to align with (GeoTIFF or HGT)."),
    raster: Path = typer.Argument(..., help="Raster to be aligned."),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for everything that is written."),
    inliers: Path | None = typer.Option(None, "--inliers", help="Mask raster: non-zero is ground that did not change."),
    method: str = typer.Option(
        "blockwise(nuth-kaab)",
        "--method",
        "-m",
        help="vertical-shift, nuth-kaab, deramp(0..2), affine, sums such as nuth-kaab+deramp(2), or blockwise(...).",
    ),
    max_shift_m: float | None = typer.Option(
        None, "--max-shift", min=0, help="Largest shift allowed, metres; 60 pixels."
    ),
    same_heights: bool = typer.Option(False, "--same-heights", help="Compare heights although vertical frames differ."),
    threads: int = typer.Option(0, "--threads", min=0, help="Threads; 0 for all this process may use."),
    check: bool = typer.Option(True, "--check/--no-check", help="Measure on held-out cells (two more fits)."),
    pictures: bool = typer.Option(True, "--pictures/--no-pictures", help="Draw maps, arrows and histogram."),
    as_json: bool = typer.Option(False, "--json", help="Print the report without its blocks as JSON."),
) -> None:
    """Align a raster with a reference: aligned.tif, field.tif, report.json, report.html and pictures.

    field.tif holds east, north and up displacement in metres: reference(x) = raster(x - (east, north)) + up.
    """
    from orograph.pipeline.coregistration.report import coregister_files

    outcome = coregister_files(
        reference,
        raster,
        output,
        inliers_path=inliers,
        method=method,
        max_shift_m=max_shift_m or None,
        same_heights=same_heights,
        threads=threads,
        check=check,
        pictures=pictures,
    )
    report = outcome.report
    if as_json:
        print_json({key: value for key, value in report.items() if key != "blocks"})
    else:
        _say(report, output)
    for note in report["notes"]:
        err.print(f"note: {note}", markup=False)
    if report["status"] == "too_few":
        raise CoregistrationError(
            f"only {report['sample_count']} pixels have heights in both rasters on stable ground",
            remedy="check that they overlap, their nodata values and the mask",
        )


def _say(report: dict[str, Any], output: Path) -> None:
    """The result in a few lines."""
    shift, nmad, median = report["shift_m"], report["nmad_m"], report["median_m"]
    out.print(f"{report['status']}: {report['method']}", markup=False)
    out.print(f"shift east {_number(shift['east'])} north {_number(shift['north'])} up {_number(shift['up'])} m")
    out.print(f"NMAD {_number(nmad['before'])} -> {_number(nmad['after'])} m, held out {_number(nmad['held_out'])} m")
    out.print(f"median {_number(median['before'])} -> {_number(median['after'])} m")
    out.print(f"wrote {output}", markup=False)


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{round(value, 2) + 0.0:.2f}"
