"""Patches of relative heights become one map."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.errors import (
    ConfigError,
)
from orograph.pipeline.learning.image_heights.stitch import CropLayout, assemble, chain_offsets, global_offsets


def patches_of(world: np.ndarray, layout: CropLayout, rng: np.random.Generator, noise: float) -> list[np.ndarray]:
    size = layout.patch_px
    cut = [world[r : r + size, c : c + size] for r, c in layout.places]
    return [p - p.min() + rng.normal(0, noise, p.shape) + rng.normal(0, 0.3) for p in cut]


def test_both_stitchings_are_exact_without_noise_and_the_global_one_does_not_drift() -> None:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:200, 0:230] / 20.0
    world = 10 * np.sin(x) + 5 * np.cos(y) + x * y
    layout = CropLayout(200, 230, 32, 2)
    clean = patches_of(world, layout, rng, 0.0)
    for solve in (chain_offsets, global_offsets):
        error = assemble(clean, solve(clean, layout), layout) - world
        assert np.ptp(error) < 1e-3
    drift = {chain_offsets: 0.0, global_offsets: 0.0}
    for _ in range(5):
        noisy = patches_of(world, layout, rng, 3.0)
        for solve in drift:
            error = assemble(noisy, solve(noisy, layout), layout) - world
            drift[solve] += float(np.sqrt(np.mean((error - error.mean()) ** 2)))
    assert drift[global_offsets] < 0.97 * drift[chain_offsets]


def test_layouts_cover_the_map() -> None:
    layout = CropLayout(100, 64, 32, 2)
    covered = np.zeros((100, 64), dtype=int)
    for row, col in layout.places:
        covered[row : row + 32, col : col + 32] += 1
    assert covered.min() == 1
    assert layout.count == len(layout.places)
    with pytest.raises(ConfigError, match="smaller than a patch"):
        CropLayout(20, 64, 32, 2)
    with pytest.raises(ConfigError):
        chain_offsets([np.zeros((32, 32))], layout)
