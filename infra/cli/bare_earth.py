"""`orograph ordinal` for DSMs: remove canopy and buildings, and train, tune and judge the models that do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orograph.infra.cli.grids import GridsDir, grids_folder
from orograph.infra.reporting.console import err, out, print_json, print_table
from orograph.infra.reporting.work_progress import WorkProgress
from orograph.pipeline.core.precision import DEFAULT_PRECISION, checked_precision


def train_surface(
    sites: Annotated[Path, typer.Argument(help="YAML list of sites.")],
    model: Annotated[Path, typer.Option("-o", "--out", help="Weights file to write.")],
    name: Annotated[str, typer.Option(help="Registry name.")],
    pixel_size: Annotated[list[float], typer.Option(help="Pixel size to train at, metres; repeat for several.")],
    smallest: Annotated[float, typer.Option(help="Smallest pixel size it may be used at, metres.")],
    largest: Annotated[float, typer.Option(help="Largest pixel size it may be used at, metres.")],
    windows: Annotated[str, typer.Option(help="Widths of the openings, pixels, comma-separated.")] = "3,7,15,31,61",
    width: Annotated[int, typer.Option(help="Channels at full resolution.")] = 16,
    steps: Annotated[int, typer.Option(help="Optimiser steps.")] = 3000,
    batch: Annotated[int, typer.Option(help="Squares a step.")] = 6,
    crop: Annotated[int, typer.Option(help="Side of a square, pixels.")] = 192,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Of weights and sampling.")] = 0,
    open_weight: Annotated[float, typer.Option(help="Weight of open terrain against cover.")] = 1.0,
    start: Annotated[Path | None, typer.Option(help="Weights to begin from.")] = None,
    margin: Annotated[int, typer.Option(help="Border of a square that only gives context, pixels.")] = 24,
    cover: Annotated[bool, typer.Option(help="Also take shares of trees and buildings; works without too.")] = False,
    precision: Annotated[
        str, typer.Option(help="fp32, or bf16 where the processor convolves in it: less time.")
    ] = DEFAULT_PRECISION,
    checkpoint: Annotated[Path | None, typer.Option(help="State to keep and to go on from.")] = None,
) -> None:
    """Train a bare-earth model on pairs of DSM and terrain, and on simulated canopy and buildings."""
    from orograph.pipeline.bare_earth.model import SurfaceModel
    from orograph.pipeline.bare_earth.network import SurfaceSpec
    from orograph.pipeline.learning.bare_earth.sites import load_sites
    from orograph.pipeline.learning.bare_earth.train import SurfaceTraining
    from orograph.pipeline.learning.bare_earth.train import train_surface as train

    places = [site for size in pixel_size for site in load_sites(sites, size, seed)]
    spec = SurfaceSpec(tuple(int(w) for w in windows.split(",")), (smallest, largest), width, cover=cover)
    losses: list[float] = []

    def report(step: int, loss: float) -> None:
        losses.append(loss)
        if (step + 1) % 50 == 0:
            err.print(f"step {step + 1}/{steps}  loss {sum(losses[-50:]) / 50:.3f}")

    schedule = SurfaceTraining(
        steps, batch, crop, rate, seed, open_weight, precision=checked_precision(precision), margin_px=margin
    )
    begin = SurfaceModel.load(start) if start is not None else None
    with WorkProgress():
        trained = train(places, spec, schedule, name=name, on_step=report, start=begin, checkpoint=checkpoint)
    out.print(f"{model}: {trained.save(model)} bytes")


def tune_surface(
    weights: Annotated[Path, typer.Argument(help="Weights file of a trained model.")],
    sites: Annotated[Path, typer.Argument(help="YAML list of measured sites it is not judged on.")],
    model: Annotated[Path, typer.Option("-o", "--out", help="Weights file to write.")],
    pixel_size: Annotated[float, typer.Option(help="Pixel size, metres.")],
    most: Annotated[float, typer.Option(help="Largest lowering of open terrain at any site, metres.")] = 0.02,
    most_mapped: Annotated[float, typer.Option(help="The same where a land-cover map is given.")] = 0.05,
) -> None:
    """Choose the threshold that leaves open terrain unchanged, and calibrate the spread as a standard deviation."""
    from dataclasses import asdict, replace

    from orograph.pipeline.bare_earth.model import SurfaceModel
    from orograph.pipeline.learning.bare_earth.evaluate import tuned
    from orograph.pipeline.learning.bare_earth.sites import load_sites

    trained = SurfaceModel.load(weights)
    with WorkProgress():
        operating = tuned(trained, load_sites(sites, pixel_size), most, most_mapped)
    out.print(f"{model}: {replace(trained, operating=operating).save(model)} bytes")
    print_json(asdict(operating))


def evaluate_surface(
    sites: Annotated[Path, typer.Argument(help="YAML list of sites; on bare terrain cover is simulated.")],
    pixel_size: Annotated[float, typer.Option(help="Pixel size, metres.")],
    model: Annotated[str, typer.Option(help="Registry name or weights file.")],
    probability: Annotated[float | None, typer.Option(help="Threshold of P(h > 2 m); the model's own if not.")] = None,
    smooth: Annotated[bool, typer.Option(help="Fit planes to the terrain under cover.")] = True,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    """Compare bare-earth errors by site with the unfiltered DSM and the progressive morphological filter."""
    from orograph.pipeline.core.progress import tracked
    from orograph.pipeline.learning.bare_earth.evaluate import judged
    from orograph.pipeline.learning.bare_earth.sites import load_sites

    places = load_sites(sites, pixel_size)
    with WorkProgress():
        judgements = {
            site.name: judged(site, model, probability, smooth) for site in tracked(places, "evaluating sites")
        }
    if as_json:
        print_json(judgements)
        return
    for name, judgement in judgements.items():
        out.print(name, markup=False)
        print_table("method", judgement)


def bare_earth(
    surface: Annotated[Path, typer.Argument(help="DSM, one band, projected CRS in metres.")],
    ground: Annotated[Path, typer.Option("-o", "--out", help="GeoTIFF: bare earth, its added error, mask.")],
    model: Annotated[
        str,
        typer.Option(
            help="auto (by pixel size, map and terrain model), a registry name, a weights file, opening, edges, or fusion."
        ),
    ] = "auto",
    probability: Annotated[
        float | None, typer.Option(help="Threshold of P(h > 2 m).", show_default="the model's own")
    ] = None,
    land_cover: Annotated[Path | None, typer.Option(help="Map with the classes of ESA WorldCover.")] = None,
    terrain: Annotated[
        Path | None, typer.Option(help="Bare-earth terrain model such as GEDTM30, on any grid, for fusion.")
    ] = None,
    terrain_accuracy_m: Annotated[
        float, typer.Option(help="Standard deviation of the terrain model, metres; GEDTM30 7.8.")
    ] = 7.8,
    terrain_unit: Annotated[
        str | None, typer.Option(help="Unit of its heights; GEDTM30 decimetre.", show_default="that of the file")
    ] = None,
    sensor: Annotated[
        str | None,
        typer.Option(
            help="Sensor model of the DSM, a bundled name such as srtm or a YAML file: the next three values."
        ),
    ] = None,
    canopy_share: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Share of the canopy that the sensor measures.", show_default="the sensor's, else 1"
        ),
    ] = None,
    footprint_m: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Standard deviation of the sensor's footprint, metres; edges leave a canopy blurred by more.",
            show_default="the sensor's, else 0",
        ),
    ] = None,
    noise_m: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Standard deviation of the DSM's noise, metres.", show_default="the sensor's, else 0"
        ),
    ] = None,
    grids_dir: GridsDir = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[
        str, typer.Option(help="fp32, or tf32, bf16 or fp16 where the hardware convolves in it.")
    ] = DEFAULT_PRECISION,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="PNG of before, after and difference to draw; none by default.")
    ] = None,
) -> None:
    """Remove canopy and buildings from a DSM."""
    import numpy as np
    import rasterio

    from orograph.pipeline.bare_earth.one_raster import Sight, bare_earth_of
    from orograph.pipeline.core.raster import Raster
    from orograph.pipeline.core.surface import Surface
    from orograph.pipeline.coregistration.prepare import UNDECLARED
    from orograph.pipeline.sources.facts import Declared
    from orograph.pipeline.sources.single_raster import opened_heights

    def read(path: Path, unit: str | None = None) -> tuple[Raster, tuple[float, float]]:
        with opened_heights(path, Declared(unit=unit)) as file:
            heights = file.read_all()
            return Raster(heights, file.geobox, file.facts.vertical_frame or UNDECLARED, Surface.DSM), file.pixel_size_m

    raster, pixel_size_m = read(surface)
    grid, heights = raster.geobox, raster.heights_m
    with WorkProgress():
        result, chosen = bare_earth_of(
            raster, pixel_size_m, model=model, probability=probability, land_cover=land_cover,
            terrain=None if terrain is None else read(terrain, terrain_unit)[0], terrain_accuracy_m=terrain_accuracy_m,
            sight=Sight.of(sensor, canopy_share, footprint_m, noise_m), grids_dir=grids_folder(grids_dir),
            device=device, precision=checked_precision(precision),
        )  # fmt: skip
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 3, "height": heights.shape[0], "width": heights.shape[1],
        "crs": str(grid.crs), "transform": grid.affine, "nodata": float("nan"), "compress": "deflate", "predictor": 3,
    }  # fmt: skip
    with rasterio.open(ground, "w", **profile) as dataset:
        planes = ("bare earth", result.heights_m), ("added standard error", result.sigma_m), ("mask", result.mask)
        for band, (name, plane) in enumerate(planes, start=1):
            dataset.write(plane.astype(np.float32), band)
            dataset.set_band_description(band, name)
    if picture is not None:
        from orograph.pipeline.core.pictures import draw_file_comparison

        draw_file_comparison(picture, surface, ground, (surface.name, f"bare earth by {chosen}"))
    out.print(f"{ground}: {float(result.mask.mean()):.1%} of the DSM was lowered to the terrain by {chosen}")
