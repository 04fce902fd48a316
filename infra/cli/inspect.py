"""`orograph inspect`: what a file is, which checks it passes, and a picture of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orograph.infra.reporting.console import err, out, print_json


def inspect(
    file: Annotated[Path, typer.Argument(help="GeoTIFF, HGT or zipped HGT.")],
    png: Annotated[
        Path | None, typer.Option(help="Hillshade to draw; <name>_hillshade.png in this folder by default.")
    ] = None,
    no_png: Annotated[bool, typer.Option("--no-png", help="Draw nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Print grid, frame, nodata, overviews and checks of a file; ends with 1 when a check fails."""
    from dataclasses import asdict

    from orograph.pipeline.exports.inspect import draw
    from orograph.pipeline.exports.inspect import inspect as look

    found = look(file)
    picture = None
    if not no_png and found.sample_m is not None:
        picture = png or Path(f"{file.name.partition('.')[0]}_hillshade.png")
        draw(found, picture)
    if as_json:
        checks = [asdict(check) for check in found.checks]
        print_json({**found.facts, "checks": checks, "hillshade": str(picture) if picture else None})
    else:
        width = max(len(name) for name in found.facts)
        for name, value in found.facts.items():
            if value is not None:
                out.print(f"{name:<{width}}  {value}", markup=False)
        for check in found.checks:
            out.print(f"{'ok  ' if check.passed else 'FAIL'}  {check.name}: {check.found}", markup=False)
        if picture:
            err.print(f"drawn: {picture}", markup=False)
    if not found.sound:
        raise typer.Exit(1)
