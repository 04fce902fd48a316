"""`orograph inspect`: facts about a raster, the checks it passes, and a picture of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orograph.infra.reporting.console import err, out, print_json

if TYPE_CHECKING:
    from orograph.pipeline.exports.inspect import Inspection


def inspect(
    file: Annotated[Path, typer.Argument(help="GeoTIFF, HGT or zipped HGT.")],
    png: Annotated[Path | None, typer.Option("--png", help="Picture to draw; none by default.")] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="End with 1 for a failed check or suspicious samples.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Print grid, vertical frame, nodata, overviews and checks of a raster; `--png` draws it."""
    from dataclasses import asdict

    from orograph.pipeline.exports.inspect import draw, draw_suspicions
    from orograph.pipeline.exports.inspect import inspect as look

    found = look(file)
    picture = None
    pictures: tuple[Path, ...] = ()
    if png is not None:
        draw(found, png)
        picture = png
        if found.suspicions:
            pictures = draw_suspicions(file, found.suspicions, png.with_suffix(""))
    if as_json:
        checks = [asdict(check) for check in found.checks]
        suspicious = [asdict(one) for one in found.suspicions]
        shown = {"hillshade": str(picture) if picture else None, "pictures": list(map(str, pictures))}
        print_json({**found.facts, "checks": checks, "suspicious": suspicious, **shown})
    else:
        _show(found, (*pictures, *([picture] if picture else [])), strict=strict)
    if strict and (not found.sound or found.suspicions):
        raise typer.Exit(1)


def _show(found: Inspection, pictures: tuple[Path, ...], *, strict: bool) -> None:
    failed = "FAIL" if strict else "note"
    width = max(len(name) for name in found.facts)
    for name, value in found.facts.items():
        if value is not None:
            out.print(f"{name:<{width}}  {value}", markup=False)
    for check in found.checks:
        out.print(f"{'ok  ' if check.passed else failed}  {check.name}: {check.found}", markup=False)
    for one in found.suspicions:
        out.print(f"WARN  {one.kind}: {one.text} (row {one.row}, column {one.col})", markup=False)
    for picture in pictures:
        err.print(f"drawn: {picture}", markup=False)
