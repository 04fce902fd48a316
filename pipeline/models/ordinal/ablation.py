"""The paper's ablations at the same budget: heads, discretisations, and the network without ASPP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from pipeline.errors import NoTrainingPixels
from pipeline.models.ordinal.data import Scene, surface_image
from pipeline.models.ordinal.discretise import Bins, Spacing
from pipeline.models.ordinal.heads import Decoding, HeadKind
from pipeline.models.ordinal.image_model import ImageModel
from pipeline.models.ordinal.metrics import HeightMetrics
from pipeline.models.ordinal.network import NetworkSpec
from pipeline.models.ordinal.sites import Site
from pipeline.models.ordinal.stitch import Layout
from pipeline.models.ordinal.training import ImageTraining, train_image


@dataclass(frozen=True, slots=True)
class Variant:
    """One row of the table."""

    head: HeadKind
    spacing: Spacing = Spacing.SID
    aspp: bool = True


VARIANTS: Final[Mapping[str, Variant]] = {
    "mse": Variant(HeadKind.MSE),
    "uniform": Variant(HeadKind.ORDINAL, Spacing.UNIFORM),
    "sid": Variant(HeadKind.ORDINAL),
    "classification": Variant(HeadKind.CLASSIFICATION),
    "sid without aspp": Variant(HeadKind.ORDINAL, aspp=False),
}


def ablate(
    train: Sequence[Scene],
    test: Sequence[Scene],
    spec: NetworkSpec,
    bins: Bins,
    training: ImageTraining,
    variants: Mapping[str, Variant] = VARIANTS,
    on_variant: Callable[[str, dict[str, HeightMetrics]], None] | None = None,
) -> dict[str, dict[str, HeightMetrics]]:
    """Train every variant on the same crops in the same order, and judge each on the test scenes.

    Args:
        train: Scenes to train on.
        test: Scenes never seen.
        spec: Size of the network; `aspp` is the variant's.
        bins: Height classes; `spacing` is the variant's.
        training: Budget, equal for all.
        variants: Rows of the table.
        on_variant: Told each result as it comes.

    Returns:
        Figures over all test patches by variant and decoding, and of the constant that is right on average
        (`constant`), which a head that learnt nothing would give.

    Raises:
        NoTrainingPixels: no scenes.
    """
    if not train or not test:
        raise NoTrainingPixels("an ablation needs scenes to train and to test on")
    middle = float(np.nanmean([np.nanmean(scene.heights_m) for scene in train]))
    results = {"constant": {"middle": _constant(test, middle)}}
    for name, variant in variants.items():
        network = replace(spec, aspp=variant.aspp)
        model = train_image(train, network, variant.head, replace(bins, spacing=variant.spacing), training)
        decodings = [Decoding.MIDDLE] if variant.head is HeadKind.MSE else list(Decoding)
        results[name] = {str(decoding): _judge(model, test, training.relative, decoding) for decoding in decodings}
        if on_variant is not None:
            on_variant(name, results[name])
    return results


def scene_of(site: Site) -> Scene:
    """A measured site as a scene: its surface as the image, heights above ground to predict."""
    if site.surface_m is None:
        raise NoTrainingPixels(f"{site.name} has no measured surface")
    above = np.maximum(site.surface_m - site.ground_m, 0.0).astype(np.float32)
    return Scene(site.name, surface_image(site.surface_m), above)


def _judge(model: ImageModel, scenes: Sequence[Scene], relative: bool, decoding: Decoding) -> HeightMetrics:
    predicted, true = [], []
    for scene in scenes:
        rows, cols = scene.heights_m.shape
        layout = Layout(rows, cols, model.crop_px)
        predicted += model.patches(scene.image, layout, decoding)
        for row, col in layout.places:
            part = scene.heights_m[row : row + model.crop_px, col : col + model.crop_px]
            low = np.nanmin(part) if relative and np.isfinite(part).any() else 0.0
            true.append(part - low)
    return HeightMetrics.between(np.stack(predicted), np.stack(true))


def _constant(scenes: Sequence[Scene], height_m: float) -> HeightMetrics:
    true = np.concatenate([scene.heights_m.ravel() for scene in scenes])
    return HeightMetrics.between(np.full_like(true, height_m), true)
