"""`orograph ordinal`: heights from one image, and bare earth from a surface."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli.common import err, out, print_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.models.ordinal.data import Scene

app = typer.Typer(
    help="Heights by ordinal regression: from one image, and bare earth from a surface.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_IMAGE = Annotated[list[Path] | None, typer.Option("--image", help="Image; repeat with --heights in the same order.")]
_HEIGHTS = Annotated[list[Path] | None, typer.Option("--heights", help="Heights of the image, on any grid.")]
_SURFACE = Annotated[list[Path] | None, typer.Option("--surface", help="Surface model as the image; needs --ground.")]
_GROUND = Annotated[list[Path] | None, typer.Option("--ground", help="Bare earth below the surface.")]
_ISPRS = Annotated[Path | None, typer.Option("--isprs", help="Folder of an unpacked ISPRS set.")]
_SET = Annotated[str, typer.Option("--set", help="vaihingen or potsdam.")]
_SPLIT = Annotated[
    int | None, typer.Option("--split-seed", help="Draw the paper's random split; published one if not.")
]


@app.command()
def train(
    model: Annotated[Path, typer.Option("-o", "--out", help="Model file to write.")],
    image: _IMAGE = None,
    heights: _HEIGHTS = None,
    surface: _SURFACE = None,
    ground: _GROUND = None,
    isprs: _ISPRS = None,
    benchmark: _SET = "vaihingen",
    split_seed: _SPLIT = None,
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
    from pipeline.models.ordinal.discretise import Bins
    from pipeline.models.ordinal.heads import HeadKind
    from pipeline.models.ordinal.network import NetworkSpec
    from pipeline.models.ordinal.training import ImageTraining, train_image

    scenes = _scenes(image, heights, surface, ground, isprs, benchmark, split_seed, training=True)
    spec = NetworkSpec(depth, scenes[0].image.shape[0], width, aspp, pooled)
    factor = 0.1 if imagenet is not None else 1.0
    schedule = ImageTraining(epochs, patches, batch, crop, rate, factor, seed=seed)
    bins = Bins(0.0, highest, classes, _choice("spacing", spacing))
    trained = train_image(
        scenes, spec, HeadKind(_choice("head", head)), bins, schedule, imagenet,
        on_epoch=lambda epoch, loss: err.print(f"epoch {epoch + 1}/{epochs}  loss {loss:.4f}"),
    )  # fmt: skip
    out.print(f"{model}: {trained.save(model)} bytes")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    image: Annotated[Path, typer.Argument(help="Image, or surface model with --as-surface.")],
    heights: Annotated[Path, typer.Option("-o", "--out", help="GeoTIFF of relative heights to write.")],
    stitching: Annotated[str, typer.Option(help="global or chain.")] = "global",
    as_surface: Annotated[bool, typer.Option(help="The input is a surface model.")] = False,
) -> None:
    """Predict a seamless map of relative heights of an image."""
    import numpy as np
    import rasterio

    from pipeline.errors import SourceMissing
    from pipeline.models.ordinal.data import read_image, surface_image
    from pipeline.models.ordinal.image_model import ImageModel

    trained = ImageModel.load(model)
    if not image.exists():
        raise SourceMissing(f"no image {image}")
    pixels, profile = read_image(image)
    if as_surface:
        pixels = surface_image(pixels[0])
    result = trained.map(pixels, _choice("stitching", stitching))
    profile.update(driver="GTiff", count=1, dtype="float32", nodata=float("nan"), compress="deflate", predictor=3)
    with rasterio.open(heights, "w", **profile) as dataset:
        dataset.write(result.astype(np.float32), 1)
    out.print(f"{heights}: {result.shape[1]} x {result.shape[0]} pixels, 0 to {float(np.nanmax(result)):.1f} m")


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    image: _IMAGE = None,
    heights: _HEIGHTS = None,
    surface: _SURFACE = None,
    ground: _GROUND = None,
    isprs: _ISPRS = None,
    benchmark: _SET = "vaihingen",
    split_seed: _SPLIT = None,
    decoding: Annotated[str, typer.Option(help="middle or expectation.")] = "middle",
) -> None:
    """The paper's figures of a model on scenes it has not seen."""
    from pipeline.models.ordinal.image_model import ImageModel

    trained = ImageModel.load(model)
    scenes = _scenes(image, heights, surface, ground, isprs, benchmark, split_seed, training=False)
    print_json({scene.name: trained.evaluate(scene, _choice("decoding", decoding)).to_dict() for scene in scenes})


@app.command()
def ablate(
    train_sites: Annotated[Path, typer.Argument(help="YAML list of measured sites to train on.")],
    test_sites: Annotated[Path, typer.Argument(help="YAML list of measured sites to judge on.")],
    pixel_size: Annotated[float, typer.Option(help="Pixel size, metres.")] = 2.5,
    depth: Annotated[int, typer.Option(help="Of the ResNet: 18, 34, 50 or 101.")] = 18,
    width: Annotated[int, typer.Option(help="Channels of its first block.")] = 16,
    pooled: Annotated[int, typer.Option(help="Channels of each ASPP branch.")] = 32,
    classes: Annotated[int, typer.Option(help="Number of height classes.")] = 32,
    highest: Annotated[float, typer.Option(help="Upper end of the classes, metres.")] = 60.0,
    epochs: Annotated[int, typer.Option(help="Epochs.")] = 6,
    patches: Annotated[int, typer.Option(help="Random crops an epoch.")] = 600,
    batch: Annotated[int, typer.Option(help="Crops a step.")] = 12,
    crop: Annotated[int, typer.Option(help="Side of a crop, pixels.")] = 96,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    seed: Annotated[int, typer.Option(help="Of weights and crops.")] = 0,
) -> None:
    """Train every head, both discretisations and the network without ASPP at one budget, and compare them."""
    from pipeline.models.ordinal.ablation import ablate as compare
    from pipeline.models.ordinal.ablation import scene_of
    from pipeline.models.ordinal.discretise import Bins
    from pipeline.models.ordinal.network import NetworkSpec
    from pipeline.models.ordinal.sites import load_sites
    from pipeline.models.ordinal.training import ImageTraining

    scenes = [[scene_of(site) for site in load_sites(path, pixel_size)] for path in (train_sites, test_sites)]
    schedule = ImageTraining(epochs, patches, batch, crop, rate, 1.0, seed=seed)
    results = compare(
        scenes[0], scenes[1], NetworkSpec(depth, 3, width, True, pooled), Bins(0.0, highest, classes), schedule,
        on_variant=lambda name, figures: err.print(name, {k: round(v.rmse_m, 3) for k, v in figures.items()}),
    )  # fmt: skip
    print_json({name: {how: m.to_dict() for how, m in rows.items()} for name, rows in results.items()})


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
    open_weight: Annotated[float, typer.Option(help="Weight of open ground against cover.")] = 1.0,
    start: Annotated[Path | None, typer.Option(help="Weights to begin from.")] = None,
) -> None:
    """Train a bare-earth model on pairs of surface and ground, and on simulated canopy and buildings."""
    from pipeline.models.ordinal.sites import load_sites
    from pipeline.models.ordinal.surface import SurfaceSpec
    from pipeline.models.ordinal.surface_model import SurfaceModel
    from pipeline.models.ordinal.surface_training import SurfaceTraining, train_surface

    places = [site for size in pixel_size for site in load_sites(sites, size)]
    spec = SurfaceSpec(tuple(int(w) for w in windows.split(",")), (smallest, largest), width)
    losses: list[float] = []

    def told(step: int, loss: float) -> None:
        losses.append(loss)
        if (step + 1) % 50 == 0:
            err.print(f"step {step + 1}/{steps}  loss {sum(losses[-50:]) / 50:.3f}")

    schedule = SurfaceTraining(steps, batch, crop, rate, seed, open_weight)
    begin = SurfaceModel.load(start) if start is not None else None
    trained = train_surface(places, spec, schedule, name=name, on_step=told, start=begin)
    out.print(f"{model}: {trained.save(model)} bytes")


@app.command("evaluate-surface")
def evaluate_surface(
    sites: Annotated[Path, typer.Argument(help="YAML list of measured sites.")],
    pixel_size: Annotated[float, typer.Option(help="Pixel size, metres.")],
    model: Annotated[str, typer.Option(help="Registry name or weights file.")],
    probability: Annotated[float, typer.Option(help="Threshold of P(h > 2 m).")] = 0.5,
    smooth: Annotated[bool, typer.Option(help="Fit planes to the ground under cover.")] = True,
) -> None:
    """Bare-earth errors by site beside doing nothing and the progressive morphological filter."""
    import numpy as np

    from pipeline.models.ordinal.metrics import GroundMetrics
    from pipeline.models.ordinal.sites import load_sites
    from pipeline.stages.bare_earth import bare_earth

    document: dict[str, Any] = {}
    for site in load_sites(sites, pixel_size):
        if site.surface_m is None:
            continue
        surface = np.where(np.isfinite(site.ground_m), site.surface_m, np.nan).astype(np.float32)
        methods = {"nothing": surface}
        methods["opening"] = bare_earth(surface, pixel_size, "opening").heights_m
        methods["network"] = bare_earth(surface, pixel_size, model, probability=probability, smooth=smooth).heights_m
        document[site.name] = {
            name: {k: round(v, 3) for k, v in _ground_figures(GroundMetrics, estimate, site, surface).items()}
            for name, estimate in methods.items()
        }
    print_json(document)


@app.command("bare-earth")
def bare_earth_command(
    surface: Annotated[Path, typer.Argument(help="Surface model, one band, projected CRS in metres.")],
    ground: Annotated[Path, typer.Option("-o", "--out", help="GeoTIFF: bare earth, its added error, mask.")],
    model: Annotated[str, typer.Option(help="Registry name, weights file, or opening.")],
    probability: Annotated[float, typer.Option(help="Threshold of P(h > 2 m).")] = 0.5,
) -> None:
    """Take canopy and buildings off a surface model."""
    import numpy as np
    import rasterio

    from pipeline.errors import SourceGridError
    from pipeline.implicit.tiling import read_heights
    from pipeline.stages.bare_earth import bare_earth

    heights, grid = read_heights(surface)
    if grid.crs is None or not grid.crs.projected:
        raise SourceGridError(f"{surface.name} has no projected CRS", remedy="warp it to one in metres")
    result = bare_earth(heights, float(abs(grid.resolution.x)), model, probability=probability)
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 3, "height": heights.shape[0], "width": heights.shape[1],
        "crs": str(grid.crs), "transform": grid.affine, "nodata": float("nan"), "compress": "deflate", "predictor": 3,
    }  # fmt: skip
    with rasterio.open(ground, "w", **profile) as dataset:
        planes = ("bare earth", result.heights_m), ("added standard error", result.sigma_m), ("mask", result.mask)
        for band, (name, plane) in enumerate(planes, start=1):
            dataset.write(plane.astype(np.float32), band)
            dataset.set_band_description(band, name)
    out.print(f"{ground}: {float(result.mask.mean()):.1%} of the surface was taken down to the ground")


def _ground_figures(metrics: Any, estimate: Any, site: Any, surface: Any) -> dict[str, float]:
    from dataclasses import asdict

    return asdict(metrics.between(estimate, site.ground_m, surface))


def _choice(name: str, text: str) -> Any:
    from pipeline.errors import ConfigError
    from pipeline.models.ordinal.data import Benchmark
    from pipeline.models.ordinal.discretise import Spacing
    from pipeline.models.ordinal.heads import Decoding, HeadKind
    from pipeline.models.ordinal.image_model import Stitching

    kinds: dict[str, Any] = {
        "spacing": Spacing,
        "head": HeadKind,
        "decoding": Decoding,
        "stitching": Stitching,
        "set": Benchmark,
    }
    try:
        return kinds[name](text)
    except ValueError as error:
        raise ConfigError(f"unknown {name} {text!r}", remedy=f"use one of {', '.join(kinds[name])}") from error


def _scenes(
    image: list[Path] | None,
    heights: list[Path] | None,
    surface: list[Path] | None,
    ground: list[Path] | None,
    isprs: Path | None,
    benchmark: str,
    split_seed: int | None,
    *,
    training: bool,
) -> list[Scene]:
    from pipeline.errors import UsageError
    from pipeline.models.ordinal.data import image_scene, isprs_scene, isprs_tiles, split_tiles, surface_scene

    if isprs is not None:
        chosen = _choice("set", benchmark)
        train_tiles, test_tiles = split_tiles(isprs_tiles(isprs, chosen), chosen, split_seed)
        return [isprs_scene(tile) for tile in (train_tiles if training else test_tiles)]
    readers: tuple[Callable[[Path, Path], Scene], ...] = (image_scene, surface_scene)
    scenes: list[Scene] = []
    for first, second, read in zip((image, surface), (heights, ground), readers, strict=True):
        if len(first or ()) != len(second or ()):
            raise UsageError("every --image needs its --heights, and every --surface its --ground, in the same order")
        scenes += [read(a, b) for a, b in zip(first or (), second or (), strict=True)]
    if not scenes:
        raise UsageError("no data given", remedy="use --image and --heights, --surface and --ground, or --isprs")
    return scenes
