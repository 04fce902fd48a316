"""Patches of relative heights become one map."""

import numpy as np
import pytest

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.image_heights.stitch import CropLayout, assemble, chain_offsets, global_offsets

LAYOUT = CropLayout(50, 70, 30, 4)
TRUTH = np.random.default_rng(1).normal(100, 10, (50, 70)).astype(np.float32)


@pytest.fixture
def patches():
    offsets = np.random.default_rng(2).normal(0, 5, LAYOUT.count)
    return [TRUTH[r : r + 30, c : c + 30] - offset for (r, c), offset in zip(LAYOUT.places, offsets, strict=True)]


def test_the_layout_covers_the_map():
    assert LAYOUT.starts == ((0, 20), (0, 26, 40))
    assert LAYOUT.count == 6
    covered = np.zeros((50, 70), bool)
    for row, col in LAYOUT.places:
        covered[row : row + 30, col : col + 30] = True
    assert covered.all()


@pytest.mark.parametrize("method", [chain_offsets, global_offsets])
def test_offsets_make_the_map_up_to_a_constant(patches, method):
    made = assemble(patches, method(patches, LAYOUT), LAYOUT)
    difference = made - TRUTH
    assert difference.std() < 1e-3


def test_unknown_pixels_stay_unknown(patches):
    blank = [np.full_like(patch, np.nan) for patch in patches]
    assert np.isnan(assemble(blank, global_offsets(blank, LAYOUT), LAYOUT)).all()


def test_layouts_and_patches_must_fit(patches):
    for wrong in ((20, 70, 30, 4), (50, 70, 30, 0), (50, 70, 30, 30)):
        with pytest.raises(ConfigError):
            CropLayout(*wrong)
    with pytest.raises(ConfigError, match="5 patches"):
        chain_offsets(patches[1:], LAYOUT)
