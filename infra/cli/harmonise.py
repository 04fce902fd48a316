"""`orograph harmonise`: transform one raster to another vertical frame."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orograph.infra.cli.grids import GridsDir, grids_folder
from orograph.infra.reporting.console import out, print_json
from orograph.infra.reporting.work_progress import WorkProgress

if TYPE_CHECKING:
    from orograph.pipeline.core.pixel_is import PixelIs


def harmonise(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Raster of heights, any format GDAL reads.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The COG to write.")],
    frame_to: Annotated[str, typer.Option("--to", help="Frame wanted.")] = "EPSG:5621",
    frame_from: Annotated[
        str | None, typer.Option("--from", help="Frame of the heights, where the file declares none.")
    ] = None,
    crs: Annotated[str | None, typer.Option(help="2D CRS, where the file declares none.")] = None,
    nodata: Annotated[list[float] | None, typer.Option(help="A further void value; may be repeated.")] = None,
    grid: Annotated[Path | None, typer.Option(help="Your own geoid grid, for this file's frame.")] = None,
    grid_sha256: Annotated[str, typer.Option(help="Its sha256; needed with --grid.")] = "",
    grid_accuracy_m: Annotated[float, typer.Option(help="Its standard deviation.")] = 0.05,
    unit: Annotated[
        str | None, typer.Option(help="Unit of the heights where the file declares none: foot, US survey foot.")
    ] = None,
    pixel: Annotated[str | None, typer.Option(help="area or point, where the file's tag is wrong.")] = None,
    via: Annotated[str | None, typer.Option(help="A frame to pass through.")] = None,
    epoch: Annotated[float | None, typer.Option(help="Decimal year, for frames that move.")] = None,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Heights beyond the operation's area become void.")
    ] = False,
    grids_dir: GridsDir = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="PNG of before, after and difference to draw; none by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Move a raster's heights to another vertical frame, on its own grid, into a COG."""
    from pydantic import ValidationError

    from orograph.pipeline.errors import UsageError
    from orograph.pipeline.sources.catalogue import UserGrid
    from orograph.pipeline.vertical import harmonise as stage

    user_grid = None
    if grid is not None:
        try:
            user_grid = UserGrid(path=str(grid), sha256=grid_sha256, accuracy_m=grid_accuracy_m)
        except ValidationError as error:
            raise UsageError(
                "--grid needs its --grid-sha256 (64 hexadecimal digits) and a positive accuracy"
            ) from error
    request = stage.HarmoniseRequest(
        frame_to,
        frame_from,
        tuple(nodata or ()),
        crs,
        user_grid,
        epoch,
        via,
        unit=unit,
        pixel=_pixel(pixel),
        allow_outside=allow_outside,
    )
    with WorkProgress(shown=not as_json):
        done = stage.harmonise(source, target, request, grids_folder(grids_dir))
    if picture is not None:
        from orograph.pipeline.core.pictures import draw_file_comparison

        draw_file_comparison(picture, source, target, (source.name, frame_to))
    if as_json:
        print_json({**asdict(done), "record": done.record.model_dump(mode="json"), "file": str(target)})
        return
    record = done.record
    out.print(f"{target}: {done.moved} heights moved by {record.shift_min_m:+.4f} to {record.shift_max_m:+.4f} m")
    out.print(f"operation {record.operation}{', derived' if record.derived else ''}", markup=False)
    out.print(f"accuracy  {record.accuracy_m:.3f} m, surface within {done.surface_error_m * 1000:.2f} mm")
    if done.outside:
        out.print(f"void      {done.outside} heights beyond the operation's area")
    for note in record.notes:
        out.print(f"note      {note}", markup=False)


def _pixel(text: str | None) -> PixelIs | None:
    from orograph.pipeline.core.pixel_is import PixelIs
    from orograph.pipeline.errors import UsageError

    if text is None:
        return None
    try:
        return PixelIs(text)
    except ValueError as error:
        raise UsageError(f"--pixel is area or point, got {text!r}") from error
