"""`orograph ordinal`: heights from one image, and bare earth from a surface."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.cli import bare_earth
from orograph.infra.cli.common import sharing
from orograph.infra.reporting.console import err, out, print_json, print_table
from orograph.infra.reporting.work_progress import WorkProgress
from orograph.pipeline.core.precision import DEFAULT_PRECISION, checked_precision

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orograph.pipeline.learning.image_heights.data import Scene

app = typer.Typer(
    help="Heights by ordinal regression: from one image, and bare earth from a surface.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("train-surface")(bare_earth.train_surface)
app.command("tune-surface")(bare_earth.tune_surface)
app.command("evaluate-surface")(bare_earth.evaluate_surface)
app.command("bare-earth")(bare_earth.bare_earth)

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
        print_table("scene", figures)


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
