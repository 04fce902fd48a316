"""`orograph coregister`: align one raster file with another and report the remaining differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from orograph.infra.reporting.console import err, out, print_json
from orograph.infra.reporting.work_progress import WorkProgress
from orograph.pipeline.errors import CoregistrationError

_TURNED_DEG = 0.2
"""Grids turned by more than this get their shift in geographic directions as well."""


def coregister(
    reference: Path = typer.Argument(..., help="Raster to align with (GeoTIFF or HGT)."),
    raster: Path = typer.Argument(..., help="Raster to be aligned."),
    output: Path = typer.Option(..., "--output", "-o", help="Folder for everything that is written."),
    inliers: Path | None = typer.Option(
        None, "--inliers", help="Mask raster: non-zero is terrain that did not change."
    ),
    method: str = typer.Option(
        "blockwise(nuth-kaab)",
        "--method",
        "-m",
        help="vertical-shift, nuth-kaab, deramp(0..2), affine, sums such as nuth-kaab+deramp(2), or blockwise(...).",
    ),
    max_shift_m: float | None = typer.Option(
        None, "--max-shift", min=0, help="Largest shift allowed, metres.", show_default="60 pixels"
    ),
    same_heights: bool = typer.Option(False, "--same-heights", help="Compare heights although vertical frames differ."),
    grid: str = typer.Option(
        "auto",
        "--grid",
        help="Grid of aligned.tif: reference, source, or auto for the source's where it is finer or larger.",
    ),
    reference_band: int | None = typer.Option(None, "--reference-band", min=1, help="Band of the reference's heights."),
    band: int | None = typer.Option(None, "--band", min=1, help="Band of the raster's heights."),
    nodata: float | None = typer.Option(None, "--nodata", help="A further value of the raster that stands for voids."),
    allow_vertical: bool = typer.Option(
        False, "--allow-vertical", help="Move heights alone where no horizontal shift can be trusted."
    ),
    threads: int = typer.Option(0, "--threads", min=0, help="Threads; 0 for all this process may use."),
    check: bool = typer.Option(True, "--check/--no-check", help="Measure on held-out cells (two more fits)."),
    pictures: bool = typer.Option(True, "--pictures/--no-pictures", help="Draw maps, arrows and histogram."),
    as_json: bool = typer.Option(False, "--json", help="Print the report without its blocks as JSON."),
) -> None:
    """Align a raster with a reference: aligned.tif, field.tif, report.json, report.html and pictures.

    field.tif has east, north and up displacement in metres: reference(x) = raster(x - (east, north)) + up. Without a
    reliable displacement, no raster is written and the exit code is 1.
    """
    from orograph.pipeline.coregistration.cpu_kernels import compile_in_background
    from orograph.pipeline.coregistration.report import CoregistrationRequest, coregister_files

    request = CoregistrationRequest(
        inliers=inliers,
        method=method,
        max_shift_m=max_shift_m or None,
        same_heights=same_heights,
        grid=grid,
        reference_band=reference_band,
        band=band,
        nodata=nodata,
        allow_vertical=allow_vertical,
        threads=threads,
        check=check,
        pictures=pictures,
    )
    with WorkProgress(shown=not as_json):
        report = coregister_files(reference, raster, output, request).report
    if report["kernels"] == "numpy":
        compile_in_background()
    if as_json:
        print_json({key: value for key, value in report.items() if key != "blocks"})
    else:
        _say(report, output)
    for note in report["notes"]:
        err.print(f"note: {note}", markup=False)
    if report["status"] == "too_few":
        raise CoregistrationError(
            f"only {report['sample_count']} pixels have heights in both rasters on stable terrain",
            remedy="check that they overlap, their nodata values and the mask",
        )
    if not report["written"]:
        raise CoregistrationError(
            f"{report['status']}, no raster was written: {report['reason']}", remedy=report["remedy"] or None
        )


def _say(report: dict[str, Any], output: Path) -> None:
    """The result in a few lines."""
    nmad, median = report["nmad_m"], report["median_m"]
    out.print(f"{report['status']}: {report['method']}", markup=False)
    if report["written"]:
        _say_shift(report)
        out.print(
            f"NMAD {_number(nmad['before'])} -> {_number(nmad['after'])} m, held out {_number(nmad['held_out'])} m"
        )
        out.print(f"median {_number(median['before'])} -> {_number(median['after'])} m")
        if report["reason"]:
            out.print(report["reason"], markup=False)
    out.print(f"report  {output / 'report.html'}", markup=False)
    if report["written"]:
        out.print(f"raster  {output / 'aligned.tif'}, displacement {output / 'field.tif'}", markup=False)


def _say_shift(report: dict[str, Any]) -> None:
    """The shift, along geographic directions too where the grid's are others, and waves."""
    shift, true = report["shift_m"], report["shift_geographic_m"]
    line = f"shift east {_number(shift['east'])} north {_number(shift['north'])} up {_number(shift['up'])} m"
    if abs(report["true_north_deg"]) >= _TURNED_DEG:
        line += f" on the grid; geographic east {_number(true['east'])} north {_number(true['north'])} m"
    out.print(line, markup=False)
    for wave in report["waves"]:
        up, sideways = wave["amplitude_m"]["up"], wave["amplitude_m"]
        across = (sideways["east"] ** 2 + sideways["north"] ** 2) ** 0.5
        out.print(
            f"removed a wave of {wave['wavelength_m']:,.0f} m at {wave['azimuth_deg']:.0f} degrees,"
            f" {across:.2f} m sideways and {up:.2f} m up",
            markup=False,
        )


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{round(value, 2) + 0.0:.2f}"
