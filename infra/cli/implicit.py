"""`orograph implicit`: fit a continuous terrain, query it, and fit seamless tiles."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.reporting.console import err, out, print_json
from orograph.infra.reporting.work_progress import WorkProgress
from orograph.pipeline.core.frames import frame_id

if TYPE_CHECKING:
    import numpy as np
    from odc.geo.geobox import GeoBox

    from orograph.pipeline.core.grid import Tile
    from orograph.pipeline.implicit.model import ImplicitModel
    from orograph.pipeline.implicit.tiling import Quadkey

app = typer.Typer(
    help="Terrain as a continuous function: fit, tiles, query, info.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class Interest(StrEnum):
    """Terrain that a fit reproduces more exactly."""

    CURVATURE = "curvature"
    SLOPE = "slope"


@app.command()
def fit(
    tile: Annotated[Path, typer.Argument(help="Raster of heights, one band, north up.")],
    model: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Model file.", show_default="TILE.safetensors in the current folder"),
    ] = None,
    kind: Annotated[str, typer.Option(help="adaptive, lattice, mlp or lattice+residual.")] = "adaptive",
    parameters: Annotated[int, typer.Option(help="Numbers to store, at most.")] = 15_625,
    window: Annotated[
        tuple[int, int, int, int] | None, typer.Option(help="Row, column, height and width of a part, in pixels.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Raster on the same grid: where to be more exact, 0 for not at all.")
    ] = None,
    interest: Annotated[
        Interest | None, typer.Option(help="Be more exact where the terrain bends or is steep.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Training steps of a network.")] = 2000,
    scale: Annotated[float, typer.Option(help="Frequency scale of a network.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of a network's frequencies, weights and sampling.")] = 0,
    gif: Annotated[Path | None, typer.Option(help="Animation of hillshades on the way.")] = None,
    mp4: Annotated[Path | None, typer.Option(help="The same as a film, .mp4; needs orograph[video].")] = None,
    frames: Annotated[int, typer.Option(help="Pictures in the animation.")] = 20,
    frame: Annotated[str, typer.Option("--vertical-frame", help="Recorded in the model, such as EPSG:5621.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fit a continuous terrain to a raster."""
    import time

    import numpy as np

    from orograph.pipeline.errors import UsageError
    from orograph.pipeline.implicit.fit import FitOptions, fit_model
    from orograph.pipeline.implicit.frames import FrameWriter

    if mp4 is not None and mp4.suffix.lower() != ".mp4":
        raise UsageError(f"the animation must end in .mp4, got {mp4}")
    heights, geobox = _read(tile, window)
    weight = _weights(weights, window, interest, heights, geobox)
    animations = [path for path in (gif, mp4) if path is not None]
    options = FitOptions(
        _kind(kind), parameters, steps=steps, scale=scale, seed=seed, frames=frames if animations else 0
    )
    writer = FrameWriter(heights.shape, _ground_pixel_m(geobox)) if animations else None
    void = float(np.isnan(heights).mean())
    if void:
        err.print(f"bridging voids, {void:.2%} of the pixels, before the fit")
    started = time.process_time()
    with WorkProgress(shown=not json):
        fitted = fit_model(
            heights, geobox, options, weights=weight, source=tile.name, frame=frame_id(frame), on_frame=writer
        )
    cpu_s = time.process_time() - started
    path = model or Path(f"{tile.stem}.safetensors")
    size = fitted.save(path)
    if writer is not None:
        for animation in animations:
            writer.write(animation)
    _report(fitted, path, size, cpu_s, json)


@app.command()
def tiles(
    source: Annotated[Path, typer.Argument(help="Raster of heights, one band.")],
    folder: Annotated[Path, typer.Option("-o", "--out", help="Folder of the model files.")],
    zoom: Annotated[int | None, typer.Option(help="Quadkey tiles of this zoom; 50 km tiles when not given.")] = None,
    pixels: Annotated[int, typer.Option(help="Pixels a tile is fitted at, along each side.")] = 512,
    kind: Annotated[str, typer.Option(help="adaptive or lattice.")] = "adaptive",
    parameters: Annotated[int, typer.Option(help="Numbers to store in a tile, at most.")] = 15_625,
    frame: Annotated[str, typer.Option("--vertical-frame", help="Recorded in the models.")] = "",
) -> None:
    """Fit every tile a raster touches; neighbours share their borders bit for bit."""
    import numpy as np

    from orograph.pipeline.core.progress import tracked
    from orograph.pipeline.implicit.fit import FitOptions, fit_model, halo_px_needed
    from orograph.pipeline.implicit.tiling import TileCutter

    options = FitOptions(_kind(kind), parameters)
    halo_px = halo_px_needed((pixels, pixels), options)
    cutter = TileCutter(source, zoom, pixels)
    units: list[Quadkey | Tile] = list(cutter.units())
    folder.mkdir(parents=True, exist_ok=True)
    with WorkProgress():
        for unit in tracked(units, "fitting tiles"):
            covered = float(np.isfinite(cutter.heights(unit)).mean())
            if covered == 0.0:
                continue
            heights, geobox = cutter.heights(unit, halo_px), cutter.geobox(unit)
            fitted = fit_model(heights, geobox, options, halo_px=halo_px, source=source.name, frame=frame_id(frame))
            size = fitted.save(folder / f"{unit.id}.safetensors")
            out.print(f"{unit.id}  RMSE {fitted.statistics.rmse_m:.2f} m  {size} bytes  {covered:.0%} covered")


@app.command()
def query(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    lon: Annotated[float | None, typer.Option(help="Longitude, degrees (x with --crs).")] = None,
    lat: Annotated[float | None, typer.Option(help="Latitude, degrees (y with --crs).")] = None,
    points: Annotated[Path | None, typer.Option(help="CSV with columns lon,lat or x,y.")] = None,
    render: Annotated[Path | None, typer.Option(help="GeoTIFF to write.")] = None,
    resolution: Annotated[float | None, typer.Option(help="Pixel of the GeoTIFF in units of its CRS.")] = None,
    crs: Annotated[str | None, typer.Option(help="CRS of the points or the GeoTIFF.")] = None,
    quantity: Annotated[str, typer.Option(help="height, slope, aspect or a *_curvature, for --render.")] = "height",
) -> None:
    """Print height, slope, aspect and curvature of a model at points, or render it on any grid."""
    from orograph.pipeline.errors import UsageError
    from orograph.pipeline.implicit.model import ImplicitModel

    fitted = ImplicitModel.load(model)
    if render is not None:
        _render(fitted, render, resolution, crs, quantity)
    elif points is not None:
        _points(fitted, points, crs or "EPSG:4326")
    elif lon is not None and lat is not None:
        print_json(_answers(fitted, [lon], [lat], crs or "EPSG:4326")[0])
    else:
        raise UsageError("nothing was asked", remedy="give --lon and --lat, --points or --render")


@app.command()
def info(model: Annotated[Path, typer.Argument(help="Model file.")]) -> None:
    """Print kind, size, extent, vertical frame and accuracy of a model file."""
    from orograph.pipeline.implicit.model import ImplicitModel

    fitted = ImplicitModel.load(model)
    print_json(_described(fitted, model, model.stat().st_size))


def _kind(text: str) -> Any:
    from orograph.pipeline.errors import ConfigError
    from orograph.pipeline.implicit.fit import Kind

    try:
        return Kind(text)
    except ValueError as error:
        raise ConfigError(f"unknown kind {text!r}", remedy=f"use one of {', '.join(Kind)}") from error


def _read(path: Path, window: tuple[int, int, int, int] | None) -> tuple[np.ndarray, GeoBox]:
    from orograph.pipeline.core.grid import PixelWindow
    from orograph.pipeline.errors import OutsideExtent
    from orograph.pipeline.implicit.tiling import read_heights

    heights, geobox = read_heights(path)
    if window is None:
        return heights, geobox
    part = PixelWindow(*window)
    if (
        min(part.row, part.col) < 0
        or part.row + part.height > heights.shape[0]
        or part.col + part.width > heights.shape[1]
    ):
        raise OutsideExtent(f"window {window} leaves the raster of {heights.shape[0]} x {heights.shape[1]} pixels")
    return heights[part.slices], part.geobox(geobox)


def _weights(
    path: Path | None,
    window: tuple[int, int, int, int] | None,
    interest: Interest | None,
    heights: np.ndarray,
    geobox: GeoBox,
) -> np.ndarray | None:
    import numpy as np

    from orograph.pipeline.errors import NoOverlap
    from orograph.pipeline.implicit.interest import interest_of

    weight = None
    if path is not None:
        weight, grid = _read(path, window)
        if grid != geobox:
            raise NoOverlap(f"weights {path.name} are not on the grid of the heights", remedy="warp them to it")
        weight = np.nan_to_num(weight, nan=0.0)
    if interest is not None:
        drawn = interest_of(heights, interest.value)
        weight = drawn if weight is None else weight * drawn
    return weight


def _ground_pixel_m(geobox: GeoBox) -> float:
    size = abs(geobox.resolution.y)
    return float(size * 111_320.0 if geobox.crs is not None and geobox.crs.geographic else size)


def _described(fitted: ImplicitModel, path: Path, size: int) -> dict[str, Any]:
    return {
        "model": str(path),
        "kind": fitted.field.kind,
        "parameters": fitted.field.parameters,
        "bytes": size,
        "crs": fitted.crs,
        "bounds": list(fitted.bounds),
        "shape": list(fitted.shape),
        "vertical_frame": fitted.frame,
        "source": fitted.source,
        **asdict(fitted.statistics),
    }


def _report(fitted: ImplicitModel, path: Path, size: int, cpu_s: float, json: bool) -> None:
    document = _described(fitted, path, size) | {"fit_cpu_s": round(cpu_s, 3)}
    if json:
        print_json(document)
        return
    statistics = fitted.statistics
    out.print(
        f"{path}: {fitted.field.kind}, {fitted.field.parameters} parameters, {size} bytes, "
        f"RMSE {statistics.rmse_m:.2f} m, largest error {statistics.max_m:.1f} m, {cpu_s:.2f} s"
    )


def _answers(fitted: ImplicitModel, x: list[float], y: list[float], crs: str) -> list[dict[str, float | None]]:
    import numpy as np

    from orograph.pipeline.implicit.terrain import QUANTITIES, terrain_at, to_model

    terrain = terrain_at(fitted, *to_model(fitted, np.array(x), np.array(y), crs))
    units = {"height": "height_m", "slope": "slope_deg", "aspect": "aspect_deg"}
    columns = {units.get(name, f"{name}_per_m"): terrain.quantity(name) for name in QUANTITIES}
    rows: list[dict[str, float | None]] = []
    for k in range(len(x)):
        row: dict[str, float | None] = {"x": x[k], "y": y[k]}
        row.update({name: float(v[k]) if np.isfinite(v[k]) else None for name, v in columns.items()})
        rows.append(row)
    return rows


def _points(fitted: ImplicitModel, path: Path, crs: str) -> None:
    import csv
    import sys

    from orograph.pipeline.errors import SourceCorrupt, SourceMissing

    if not path.exists():
        raise SourceMissing(f"no file of points {path}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = ("lon", "lat") if rows and "lon" in rows[0] else ("x", "y")
    try:
        x, y = ([float(row[name]) for row in rows] for name in names)
    except (KeyError, TypeError, ValueError) as error:
        raise SourceCorrupt(
            f"{path.name} contains no points: {error!r}", remedy="give columns lon,lat or x,y"
        ) from error
    if not x:
        raise SourceCorrupt(f"{path.name} contains no points", remedy="give columns lon,lat or x,y")
    answers = _answers(fitted, x, y, crs)
    writer = csv.DictWriter(sys.stdout, fieldnames=list(answers[0]))
    writer.writeheader()
    writer.writerows(answers)


def _render(fitted: ImplicitModel, path: Path, resolution: float | None, crs: str | None, quantity: str) -> None:
    import rasterio

    from orograph.pipeline.errors import ConfigError
    from orograph.pipeline.implicit.terrain import QUANTITIES, model_grid, render_model

    if quantity not in QUANTITIES:
        raise ConfigError(f"unknown quantity {quantity!r}", remedy=f"use one of {', '.join(QUANTITIES)}")
    if resolution is not None and not resolution > 0:
        raise ConfigError(f"a resolution of {resolution}", remedy="give a positive pixel size in units of the CRS")
    geobox = model_grid(fitted, resolution, crs)
    image = render_model(fitted, geobox, quantity)
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "height": image.shape[0], "width": image.shape[1],
        "crs": str(geobox.crs), "transform": geobox.affine, "nodata": float("nan"),
        "compress": "deflate", "predictor": 3, "tiled": True,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(image, 1)
        dataset.set_band_description(1, quantity)
    out.print(f"{path}: {quantity}, {image.shape[1]} x {image.shape[0]} pixels")
