"""`orograph ordinal`: heights from one image, and bare earth from a surface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.cli.common import sharing
from orograph.infra.cli.grids import GridsDir, grids_folder
from orograph.infra.reporting.console import err, out, print_json
from orograph.infra.reporting.work_progress import WorkProgress
from orograph.pipeline.core.precision import DEFAULT_PRECISION, checked_precision

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orograph.pipeline.learning.image_heights.data import Scene

app = typer.Typer(
    help="Heights by ordinal regression: from one image, and bare earth from a surface.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_IMAGE = Annotated[list[Path] | None, typer.Option("--image", help="Image; repeat with --heights in the same order.")]
_HEIGHTS = Annotated[list[Path] | None, typer.Option("--heights", help="Heights of the image, on any grid.")]
_SURFACE = Annotated[list[Path] | None, typer.Option("--surface", help="DSM as the image; needs --ground.")]
_GROUND = Annotated[list[Path] | None, typer.Option("--ground", help="Bare earth below the surface.")]
_ISPRS = Annotated[Path | None, typer.Option("--isprs", help="Folder of an unpacked ISPRS set.")]
_SET = Annotated[str, typer.Option("--set", help="vaihingen or potsdam.")]
_JSON = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]
_SPLIT = Annotated[
    int | None, typer.Option("--split-seed", help="Draw the paper's random split; published one if not.")
]


def _print_table(first: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Figures by name, one row each; a figure that a row is without stays empty."""
    from rich.table import Table

    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for name in columns:
        table.add_column(name, justify="right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.4g}" if key in row else "" for key in columns))
    out.print(table)


@dataclass(frozen=True, slots=True)
class _Data:
    """Images and heights, DSMs and terrain, or an ISPRS set, as given on the command line."""

    image: list[Path] | None
    heights: list[Path] | None
    surface: list[Path] | None
    ground: list[Path] | None
    isprs: Path | None
    benchmark: str
    split_seed: int | None

    def scenes(self, *, training: bool) -> list[Scene]:
        """All of them read; of an ISPRS set the training or the test tiles."""
        from orograph.pipeline.errors import UsageError
        from orograph.pipeline.learning.image_heights.data import (
            image_scene,
            isprs_scene,
            isprs_tiles,
            split_tiles,
            surface_scene,
        )

        if self.isprs is not None:
            chosen = _choice("set", self.benchmark)
            train_tiles, test_tiles = split_tiles(isprs_tiles(self.isprs, chosen), chosen, self.split_seed)
            return [isprs_scene(tile) for tile in (train_tiles if training else test_tiles)]
        pairs = (self.image, self.heights, image_scene), (self.surface, self.ground, surface_scene)
        scenes: list[Scene] = []
        for first, second, read in pairs:
            if len(first or ()) != len(second or ()):
                raise UsageError(
                    "every --image needs its --heights, and every --surface its --ground, in the same order"
                )
            scenes += [read(a, b) for a, b in zip(first or (), second or (), strict=True)]
        if not scenes:
            raise UsageError("no data given", remedy="use --image and --heights, --surface and --ground, or --isprs")
        return scenes


def _shared(
    image: _IMAGE = None,
    heights: _HEIGHTS = None,
    surface: _SURFACE = None,
    ground: _GROUND = None,
    isprs: _ISPRS = None,
    benchmark: _SET = "vaihingen",
    split_seed: _SPLIT = None,
) -> tuple[_Data]:
    return (_Data(image, heights, surface, ground, isprs, benchmark, split_seed),)


@app.command()
@sharing(_shared, "data")
def train(
    data: _Data,
    model: Annotated[Path, typer.Option("-o", "--out", help="Model file to write.")],
    head: Annotated[str, typer.Option(help="ordinal, classification or mse.")] = "ordinal",
    spacing: Annotated[str, typer.Option(help="sid or uniform.")] = "sid",
    classes: Annotated[int, typer.Option(help="Number of height classes.")] = 64,
    highest: Annotated[float, typer.Option(help="Upper end of the classes, metres.")] = 60.0,
    depth: Annotated[int, typer.Option(help="Of the ResNet: 18, 34, 50 or 101.")] = 101,
    width: Annotated[int, typer.Option(help="Channels of its first block.")] = 64,
    pooled: Annotated[int, typer.Option(help="Channels of each ASPP branch.")] = 256,
    aspp: Annotated[bool, typer.Option(help="Pool features of several dilations.")] = True,
    imagenet: Annotated[Path | None, typer.Option(help="Backbone weights, torchvision layout.")] = None,
    epochs: Annotated[int, typer.Option(help="Epochs.")] = 20,
    patches: Annotated[int, typer.Option(help="Random crops an epoch.")] = 10_000,
    batch: Annotated[int, typer.Option(help="Crops a step.")] = 15,
    crop: Annotated[int, typer.Option(help="Side of a crop, pixels.")] = 256,
    rate: Annotated[float, typer.Option(help="Learning rate of head and ASPP.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of weights and crops.")] = 0,
) -> None:
    """Train the network of the paper, or one of its ablations."""
    from orograph.pipeline.bare_earth.height_classes import Bins
    from orograph.pipeline.bare_earth.ordinal_head import HeadKind
    from orograph.pipeline.learning.image_heights.network import NetworkSpec
    from orograph.pipeline.learning.image_heights.train import ImageTraining, train_image

    scenes = data.scenes(training=True)
    spec = NetworkSpec(depth, scenes[0].image.shape[0], width, aspp, pooled)
    factor = 0.1 if imagenet is not None else 1.0
    schedule = ImageTraining(epochs, patches, batch, crop, rate, factor, seed=seed)
    bins = Bins(0.0, highest, classes, _choice("spacing", spacing))
    with WorkProgress():
        trained = train_image(
            scenes, spec, HeadKind(_choice("head", head)), bins=bins, training=schedule, imagenet=imagenet,
            on_epoch=lambda epoch, loss, _model: err.print(f"epoch {epoch + 1}/{epochs}  loss {loss:.4f}"),
        )  # fmt: skip
    out.print(f"{model}: {trained.save(model)} bytes")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    image: Annotated[Path, typer.Argument(help="Image, or DSM with --as-surface.")],
    heights: Annotated[Path, typer.Option("-o", "--out", help="GeoTIFF of relative heights to write.")],
    stitching: Annotated[str, typer.Option(help="global or chain.")] = "global",
    as_surface: Annotated[bool, typer.Option(help="The input is a DSM.")] = False,
) -> None:
    """Predict a seamless map of relative heights of an image."""
    import numpy as np
    import rasterio

    from orograph.pipeline.errors import SourceMissing
    from orograph.pipeline.learning.image_heights.data import read_image, surface_image
    from orograph.pipeline.learning.image_heights.model import ImageModel

    trained = ImageModel.load(model)
    if not image.exists():
        raise SourceMissing(f"no image {image}")
    pixels, profile = read_image(image)
    if as_surface:
        pixels = surface_image(pixels[0])
    with WorkProgress():
        result = trained.map(pixels, _choice("stitching", stitching))
    profile.update(driver="GTiff", count=1, dtype="float32", nodata=float("nan"), compress="deflate", predictor=3)
    with rasterio.open(heights, "w", **profile) as dataset:
        dataset.write(result.astype(np.float32), 1)
    out.print(f"{heights}: {result.shape[1]} x {result.shape[0]} pixels, 0 to {float(np.nanmax(result)):.1f} m")


@app.command()
@sharing(_shared, "data")
def evaluate(
    data: _Data,
    model: Annotated[Path, typer.Argument(help="Model file.")],
    decoding: Annotated[str, typer.Option(help="middle or expectation.")] = "middle",
    *,
    as_json: _JSON = False,
) -> None:
    """Compute the paper's statistics of a model on test scenes."""
    from orograph.pipeline.learning.image_heights.model import ImageModel

    trained = ImageModel.load(model)
    scenes = data.scenes(training=False)
    with WorkProgress():
        figures = {scene.name: trained.evaluate(scene, _choice("decoding", decoding)).to_dict() for scene in scenes}
    if as_json:
        print_json(figures)
    else:
        _print_table("scene", figures)


@app.command()
def ablate(
    train_scenes: Annotated[Path, typer.Argument(help="YAML list of sites or images to train on.")],
    test_scenes: Annotated[Path, typer.Argument(help="YAML list of sites or images to judge on.")],
    pixel_size: Annotated[float, typer.Option(help="Pixel size of sites, metres; images keep their own.")] = 2.5,
    only: Annotated[
        list[str] | None, typer.Option(help="Variant to train; repeat for several, all by default.")
    ] = None,
    depth: Annotated[int, typer.Option(help="Of the ResNet: 18, 34, 50 or 101.")] = 18,
    width: Annotated[int, typer.Option(help="Channels of its first block.")] = 16,
    pooled: Annotated[int, typer.Option(help="Channels of each ASPP branch.")] = 32,
    classes: Annotated[int, typer.Option(help="Number of height classes.")] = 32,
    highest: Annotated[float, typer.Option(help="Upper end of the classes, metres.")] = 60.0,
    epochs: Annotated[int, typer.Option(help="Epochs.")] = 10,
    patches: Annotated[int, typer.Option(help="Random crops an epoch.")] = 1200,
    batch: Annotated[int, typer.Option(help="Crops a step.")] = 8,
    crop: Annotated[int, typer.Option(help="Side of a crop, pixels.")] = 64,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of weights and crops.")] = 0,
    precision: Annotated[
        str, typer.Option(help="fp32, or bf16 where the processor convolves in it: less time.")
    ] = DEFAULT_PRECISION,
) -> None:
    """Train every head, both discretisations and the network without ASPP at one budget, and compare them."""
    from orograph.pipeline.bare_earth.height_classes import Bins
    from orograph.pipeline.learning.image_heights.ablation import VARIANTS, load_scenes
    from orograph.pipeline.learning.image_heights.ablation import ablate as compare
    from orograph.pipeline.learning.image_heights.network import NetworkSpec
    from orograph.pipeline.learning.image_heights.train import ImageTraining

    chosen = {name: VARIANTS[_one_of("variant", name, VARIANTS)] for name in only or VARIANTS}
    scenes = [load_scenes(path, pixel_size) for path in (train_scenes, test_scenes)]
    schedule = ImageTraining(
        epochs, patches, batch, crop, rate, 1.0, augment=True, seed=seed, precision=checked_precision(precision)
    )
    spec = NetworkSpec(depth, scenes[0][0].image.shape[0], width, True, pooled)
    with WorkProgress():
        results = compare(
            scenes[0], scenes[1], spec, bins=Bins(0.0, highest, classes), training=schedule, variants=chosen,
            on_variant=lambda name, row: err.print(name, {k: round(v.rmse_m, 3) for k, v in row.figures.items()}),
        )  # fmt: skip
    print_json({name: row.to_dict() for name, row in results.items()})


@app.command("train-surface")
def train_surface_command(
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
    from orograph.pipeline.learning.bare_earth.train import SurfaceTraining, train_surface

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
        trained = train_surface(places, spec, schedule, name=name, on_step=report, start=begin, checkpoint=checkpoint)
    out.print(f"{model}: {trained.save(model)} bytes")


@app.command("tune-surface")
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


@app.command("evaluate-surface")
def evaluate_surface(
    sites: Annotated[Path, typer.Argument(help="YAML list of sites; on bare terrain cover is simulated.")],
    pixel_size: Annotated[float, typer.Option(help="Pixel size, metres.")],
    model: Annotated[str, typer.Option(help="Registry name or weights file.")],
    probability: Annotated[float | None, typer.Option(help="Threshold of P(h > 2 m); the model's own if not.")] = None,
    smooth: Annotated[bool, typer.Option(help="Fit planes to the terrain under cover.")] = True,
    *,
    as_json: _JSON = False,
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
        _print_table("method", judgement)


@app.command("bare-earth")
def bare_earth_command(
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


def _choice(name: str, text: str) -> Any:
    from orograph.pipeline.bare_earth.height_classes import Spacing
    from orograph.pipeline.bare_earth.ordinal_head import Decoding, HeadKind
    from orograph.pipeline.learning.image_heights.data import Benchmark
    from orograph.pipeline.learning.image_heights.model import Stitching

    kinds: dict[str, Any] = {
        "spacing": Spacing,
        "head": HeadKind,
        "decoding": Decoding,
        "stitching": Stitching,
        "set": Benchmark,
    }
    return kinds[name](_one_of(name, text, kinds[name]))


def _one_of(name: str, text: str, known: Iterable[str]) -> str:
    from orograph.pipeline.errors import ConfigError

    if text not in list(known):
        raise ConfigError(f"unknown {name} {text!r}", remedy=f"use one of {', '.join(known)}")
    return text
