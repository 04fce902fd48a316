"""Scenes of images and heights and a small network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from orograph.pipeline.learning.image_heights.data import (
    Scene,
)
from orograph.pipeline.learning.image_heights.network import NetworkSpec


def write(path: Path, pixels: np.ndarray, size: float = 1.0, west: float = 500_000.0, crs: str = "EPSG:32633") -> Path:
    pixels = pixels if pixels.ndim == 3 else pixels[None]
    profile = {
        "driver": "GTiff", "dtype": str(pixels.dtype), "count": len(pixels), "height": pixels.shape[1],
        "width": pixels.shape[2], "crs": crs, "transform": Affine(size, 0, west, 0, -size, 5_000_000.0),
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(pixels)
    return path


def scene(seed: int = 0, size: int = 96) -> Scene:
    """Blocks that are the brighter the higher they are."""
    rng = np.random.default_rng(seed)
    heights = np.kron(rng.integers(0, 5, (size // 16, size // 16)) * 3.0, np.ones((16, 16)))
    image = np.stack([heights / 15, rng.random((size, size)), 1 - heights / 15]).astype(np.float32)
    return Scene(f"blocks-{seed}", image, heights.astype(np.float32))


SMALL = NetworkSpec(depth=18, bands=3, width=8, pooled=8)
