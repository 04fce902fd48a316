"""The paper's ablations at the same budget: heads, discretisations, and the network without ASPP."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from orograph.pipeline.bare_earth.height_classes import Bins, Spacing
from orograph.pipeline.bare_earth.ordinal_head import Decoding, HeadKind
from orograph.pipeline.errors import NoTrainingPixels
from orograph.pipeline.learning.bare_earth.simulate import Scenery, above_ground
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite, read_list, site_of
from orograph.pipeline.learning.image_heights.data import Scene, image_scene, surface_image
from orograph.pipeline.learning.image_heights.metrics import HeightMetrics, rmse_by_height
from orograph.pipeline.learning.image_heights.model import ImageModel
from orograph.pipeline.learning.image_heights.network import NetworkSpec
from orograph.pipeline.learning.image_heights.stitch import CropLayout
from orograph.pipeline.learning.image_heights.train import ImageTraining, train_image


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


@dataclass(frozen=True, slots=True)
class Row:
    """Result of one variant.

    Attributes:
        figures: The paper's error measures over all test patches, by decoding.
        by_height: Root mean square error by class of true height, metres, of the last decoding.
        curve: After each epoch: mean loss, and the error on the test patches by decoding, metres.
    """

    figures: dict[str, HeightMetrics]
    by_height: dict[str, float]
    curve: tuple[tuple[float, dict[str, float]], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        figures = {how: m.to_dict() for how, m in self.figures.items()}
        return {"figures": figures, "by_height": self.by_height, "curve": [list(point) for point in self.curve]}


def ablate(
    train: Sequence[Scene],
    test: Sequence[Scene],
    spec: NetworkSpec,
    *,
    bins: Bins,
    training: ImageTraining,
    variants: Mapping[str, Variant] = VARIANTS,
    on_variant: Callable[[str, Row], None] | None = None,
) -> dict[str, Row]:
    """Train every variant on the same crops in the same order, and evaluate each on the test scenes.

    Args:
        train: Scenes to train on.
        test: Test scenes, not used in training.
        spec: Size of the network; `aspp` is the variant's.
        bins: Height classes; `spacing` is the variant's.
        training: Training options, equal for all.
        variants: Rows of the table.
        on_variant: Receives each result when it is ready.

    Returns:
        Results by variant, and of the best constant (`constant`), the best result without any image.

    Raises:
        NoTrainingPixels: no scenes.
    """
    if not train or not test:
        raise NoTrainingPixels("an ablation needs scenes to train and to test on")
    patches = TrainingPatches.of(test, training.crop_px, training.relative)
    known = TrainingPatches.of(train, training.crop_px, training.relative)
    results = {"constant": patches.row({"middle": np.full_like(patches.true_m, np.nanmean(known.true_m))})}
    for name, variant in variants.items():
        results[name] = _trained(train, patches, variant, spec, bins, training)
        if on_variant is not None:
            on_variant(name, results[name])
    return results


def _trained(
    train: Sequence[Scene],
    patches: TrainingPatches,
    variant: Variant,
    spec: NetworkSpec,
    bins: Bins,
    training: ImageTraining,
) -> Row:
    curve: list[tuple[float, dict[str, float]]] = []
    decodings = (Decoding.MIDDLE,) if variant.head is HeadKind.MSE else tuple(Decoding)

    def judged(_epoch: int, loss: float, model: ImageModel) -> None:
        row = patches.row({str(how): patches.predicted(model, how) for how in decodings})
        curve.append((loss, {how: figures.rmse_m for how, figures in row.figures.items()}))

    network, classes = replace(spec, aspp=variant.aspp), replace(bins, spacing=variant.spacing)
    model = train_image(train, network, variant.head, bins=classes, training=training, on_epoch=judged)
    row = patches.row({str(how): patches.predicted(model, how) for how in decodings})
    return replace(row, curve=tuple(curve))


@dataclass(frozen=True, slots=True, eq=False)
class TrainingPatches:
    """All patches of some scenes.

    Attributes:
        images: (patch, bands, rows, columns).
        true_m: (patch, rows, columns), metres, relative to each patch's lowest point on request.
    """

    images: np.ndarray
    true_m: np.ndarray

    @classmethod
    def of(cls, scenes: Sequence[Scene], size_px: int, relative: bool) -> Self:
        """Divide scenes into patches."""
        images, true = [], []
        for scene in scenes:
            layout = CropLayout(scene.heights_m.shape[0], scene.heights_m.shape[1], size_px)
            for row, col in layout.places:
                part = (slice(row, row + size_px), slice(col, col + size_px))
                heights = scene.heights_m[part]
                low = np.nanmin(heights) if relative and np.isfinite(heights).any() else 0.0
                images.append(scene.image[(slice(None), *part)])
                true.append(heights - low)
        return cls(np.stack(images), np.stack(true))

    def predicted(self, model: ImageModel, decoding: Decoding) -> np.ndarray:
        """A model's heights of every patch, metres."""
        return np.stack([model.patch(image, decoding)[0] for image in self.images])

    def row(self, predicted_m: Mapping[str, np.ndarray]) -> Row:
        """Figures of predictions by decoding."""
        figures = {how: HeightMetrics.between(heights, self.true_m) for how, heights in predicted_m.items()}
        return Row(figures, rmse_by_height(list(predicted_m.values())[-1], self.true_m))


def load_scenes(path: Path, pixel_size_m: float) -> list[Scene]:
    """Load scenes of a YAML list: images with `image` and `heights` on one grid, the rest as `load_sites`.

    Images take `part` as four fractions (top, bottom, left, right). On bare terrain canopy and buildings are simulated,
    the same at every reading.
    """
    scenes = []
    for entry in read_list(path):
        if "image" not in entry:
            scenes.append(scene_of(site_of(entry, path.parent, pixel_size_m)))
            continue
        scene = image_scene(path.parent / entry["image"], path.parent / entry["heights"])
        rows, cols = scene.heights_m.shape
        top, bottom, left, right = entry.get("part", (0.0, 1.0, 0.0, 1.0))
        part = (slice(int(top * rows), int(bottom * rows)), slice(int(left * cols), int(right * cols)))
        scenes.append(Scene(str(entry["name"]), scene.image[(slice(None), *part)], scene.heights_m[part]))
    return scenes


def scene_of(site: SurfaceSite) -> Scene:
    """Convert a site to a scene: its DSM as the image, heights above terrain as the target."""
    if site.surface_m is not None:
        above = np.maximum(site.surface_m - site.ground_m, 0.0).astype(np.float32)
        return Scene(site.name, surface_image(site.surface_m), above)
    rng = np.random.default_rng(zlib.crc32(site.name.encode()))
    known = np.isfinite(site.ground_m)
    ground = np.where(known, site.ground_m, np.nanmean(site.ground_m)).astype(np.float32)
    surface, above = above_ground(ground, site.pixel_size_m, Scenery(0.4, 2.0, 8.0, 0.3, 0.1), rng)
    return Scene(site.name, surface_image(surface), np.where(known, above, np.nan).astype(np.float32))
