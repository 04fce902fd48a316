"""`orograph inspect`: what a file is, which checks it passes, and a picture of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orograph.infra.reporting.console import err, out, print_json

if TYPE_CHECKING:
    from orograph.pipeline.exports.inspect import Inspection


def inspect(
    file: Annotated[Path, typer.Argument(help="GeoTIFF, HGT or zipped HGT.")],
    png: Annotated[
        Path | None, typer.Option(help="Hillshade to draw; <name>_hillshade.png in this folder by default.")
    ] = None,
    no_png: Annotated[bool, typer.Option("--no-png", help="Draw nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 for suspicious samples, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Print grid, frame, nodata, overviews and checks of a file; ends with 1 when a check fails."""
    from dataclasses import asdict

    from orograph.pipeline.exports.inspect import draw, draw_suspicions
    from orograph.pipeline.exports.inspect import inspect as look

    found = look(file)
    picture = None
    if not no_png and found.sample_m is not None:
        picture = png or Path(f"{file.name.partition('.')[0]}_hillshade.png")
        draw(found, picture)
    pictures: tuple[Path, ...] = ()
    if found.suspicions and not no_png:
        pictures = draw_suspicions(file, found.suspicions, Path(file.name.partition(".")[0]))
    if as_json:
        checks = [asdict(check) for check in found.checks]
        suspicious = [asdict(one) for one in found.suspicions]
        shown = {"hillshade": str(picture) if picture else None, "pictures": list(map(str, pictures))}
        print_json({**found.facts, "checks": checks, "suspicious": suspicious, **shown})
    else:
        _show(found, (*pictures, *([picture] if picture else [])))
    if not found.sound or (strict and found.suspicions):
        raise typer.Exit(1)


def _show(found: Inspection, pictures: tuple[Path, ...]) -> None:
    width = max(len(name) for name in found.facts)
    for name, value in found.facts.items():
        if value is not None:
            out.print(f"{name:<{width}}  {value}", markup=False)
    for check in found.checks:
        out.print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name}: {check.found}", markup=False)
    for one in found.suspicions:
        out.print(f"WARN  {one.kind}: {one.text} (row {one.row}, column {one.col})", markup=False)
    for picture in pictures:
        err.print(f"drawn: {picture}", markup=False)
