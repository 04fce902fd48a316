"""Trains on images: random crops, two learning rates, a plateau schedule (section III-B of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.ordinal_head import HeadKind, head_of
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, autocast, check_trainable
from orograph.pipeline.core.progress import report as report_progress
from orograph.pipeline.errors import BandMismatch, ConfigError, ModelError, NoTrainingPixels
from orograph.pipeline.learning.image_heights.backbone import load_imagenet
from orograph.pipeline.learning.image_heights.data import Scene
from orograph.pipeline.learning.image_heights.model import ImageModel
from orograph.pipeline.learning.image_heights.network import HeightNet, NetworkSpec

_PATIENCE: Final = 1


@dataclass(frozen=True, slots=True)
class ImageTraining:
    """The paper's schedule; smaller numbers for small budgets.

    Attributes:
        epochs: Number of epochs of `patches` random crops each.
        patches: Crops per epoch.
        batch: Crops per step.
        crop_px: Side of a crop.
        learning_rate: Rate of head and ASPP; the backbone's is a tenth (equal from scratch: `backbone_factor`).
        backbone_factor: Ratio of the backbone's rate to the rest's.
        weight_decay: Weight decay of Adam, for both parts.
        relative: Heights count from each crop's lowest point.
        augment: Mirror and rotate crops.
        seed: Seed of weights and crops.
        precision: Precision of the convolutions, `fp32` or `bf16`.
    """

    epochs: int = 20
    patches: int = 10_000
    batch: int = 15
    crop_px: int = 256
    learning_rate: float = 1e-3
    backbone_factor: float = 0.1
    weight_decay: float = 5e-4
    relative: bool = True
    augment: bool = False
    seed: int = 0
    precision: Precision = DEFAULT_PRECISION

    def __post_init__(self) -> None:
        check_trainable(self.precision)
        if min(self.epochs, self.patches, self.batch) < 1 or self.crop_px < 32:
            raise ConfigError(
                f"invalid training options: {self}", remedy="crops must have at least 32 px, counts must be positive"
            )
        if not (self.learning_rate > 0 and self.backbone_factor > 0 and self.weight_decay >= 0):
            raise ConfigError(f"invalid training options: {self}", remedy="rates are positive")


def train_image(
    scenes: Sequence[Scene],
    spec: NetworkSpec,
    kind: HeadKind,
    *,
    bins: Bins,
    training: ImageTraining,
    imagenet: Path | None = None,
    on_epoch: Callable[[int, float, ImageModel], None] | None = None,
) -> ImageModel:
    """Train a network on scenes.

    The rate is divided by ten when the mean loss has not fallen for two epochs.

    Args:
        scenes: Images with heights, all of `spec.bands` bands.
        spec: Size of the network.
        kind: Type of head.
        bins: Height classes (the range for the MSE head).
        training: Training options.
        imagenet: Weights of the backbone in torchvision's layout.
        on_epoch: Receives the epoch, its mean loss, and the current model.

    Raises:
        NoTrainingPixels: no scenes.
        BandMismatch: a scene has another number of bands.
        ModelError: the training diverged.
        ForeignModel: the ImageNet weights are for another network.
    """
    _check(scenes, spec)
    torch.manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    head = head_of(kind, bins)
    network = HeightNet(spec, head.channels).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if imagenet is not None:
        load_imagenet(network.backbone, imagenet)
    mean, spread = _standard(scenes)
    groups = network.parameter_groups(training.learning_rate, training.backbone_factor)
    optimiser = torch.optim.Adam(groups, weight_decay=training.weight_decay)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.1, patience=_PATIENCE)
    sizes = np.array([scene.heights_m.size for scene in scenes], dtype=np.float64)
    flat = (tuple(float(m) for m in mean.flatten()), tuple(float(s) for s in spread.flatten()))
    model = ImageModel(network, spec, head, flat[0], flat[1], training.crop_px)
    network.train()
    for epoch in range(training.epochs):
        losses = []
        steps = max(1, training.patches // training.batch)
        for step in range(steps):
            report_progress("training", epoch * steps + step, training.epochs * steps)
            images, heights = _batch(scenes, sizes, training, rng)
            with autocast(training.precision):
                outputs = network(((images - mean) / spread).to(memory_format=torch.channels_last))
            loss = head.loss(outputs.float(), heights)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(float(loss.detach()))
        average = float(np.mean(losses))
        if not np.isfinite(average):
            raise ModelError("the training diverged", remedy="lower the learning rate")
        plateau.step(average)
        if on_epoch is not None:
            network.eval()
            on_epoch(epoch, average, model)
            network.train()
    network.eval()
    # Round the model as its file does, so that both agree to the last bit.
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return model


def _check(scenes: Sequence[Scene], spec: NetworkSpec) -> None:
    if not scenes:
        raise NoTrainingPixels("no scene to train on")
    for scene in scenes:
        if scene.image.shape[0] != spec.bands:
            raise BandMismatch(f"{scene.name} has {scene.image.shape[0]} bands, the network takes {spec.bands}")


def _standard(scenes: Sequence[Scene]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each band over all scenes."""
    pixels = np.concatenate([scene.image[:, ::4, ::4].reshape(scene.image.shape[0], -1) for scene in scenes], axis=1)
    mean, spread = pixels.mean(axis=1), np.maximum(pixels.std(axis=1), 1e-6)
    return torch.from_numpy(mean).view(1, -1, 1, 1), torch.from_numpy(spread).view(1, -1, 1, 1)


def _batch(
    scenes: Sequence[Scene], sizes: np.ndarray, training: ImageTraining, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    images, targets = [], []
    for _ in range(training.batch):
        scene = scenes[int(rng.choice(len(scenes), p=sizes / sizes.sum()))]
        image, heights = scene.crop(training.crop_px, rng, training.relative)
        if training.augment:
            turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
            image, heights = np.rot90(image, turns, (1, 2)), np.rot90(heights, turns)
            if mirrored:
                image, heights = image[:, :, ::-1], heights[:, ::-1]
        images.append(np.ascontiguousarray(image))
        targets.append(np.ascontiguousarray(heights))
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(targets).astype(np.float32))
