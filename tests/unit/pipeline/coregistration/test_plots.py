"""Pictures are written for rasters of any size, voids and constants included."""

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from PIL import Image

from orograph.pipeline.coregistration.estimate import Spread
from orograph.pipeline.coregistration.notices import height_bias
from orograph.pipeline.coregistration.plots import arrows, by_height, difference_map, histogram, shift_map
from tests.support.pairs import AFFINE

BOX = GeoBox((30, 40), AFFINE, "EPSG:3035")


def colours(path):
    return {tuple(colour) for colour in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)}


def test_a_difference_map_shows_both_signs_and_voids(tmp_path):
    dh = np.full((30, 40), -5.0, np.float32)
    dh[:, 20:] = 5.0
    dh[:5] = np.nan
    difference_map(tmp_path / "dh.png", dh, np.ones((30, 40), bool), BOX, 5.0, "Before")
    seen = colours(tmp_path / "dh.png")
    assert (165, 0, 38) in seen
    assert (49, 54, 149) in seen
    assert (217, 217, 217) in seen


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_constant_shift_has_a_map_of_one_colour_scale(tmp_path, part):
    shift_map(tmp_path / "shift.png", np.full((30, 40), 3.0, np.float32), None, BOX, "Shift", part)
    assert len(colours(tmp_path / "shift.png")) > 10


def test_arrows_of_a_constant_field_have_no_length(tmp_path):
    field = np.zeros((3, 30, 40), np.float32)
    arrows(tmp_path / "still.png", None, field, BOX)
    field[0] = np.linspace(-2, 2, 40)
    arrows(tmp_path / "moved.png", None, field, BOX)
    still, moved = (np.asarray(Image.open(tmp_path / name).convert("L")) for name in ("still.png", "moved.png"))
    assert (moved < 50).sum() > (still < 50).sum() + 200


def test_a_histogram_shows_both_distributions(tmp_path):
    rng = np.random.default_rng(0)
    histogram(tmp_path / "h.png", Spread.of(rng.normal(3, 2, 2000)), Spread.of(rng.normal(0, 1, 2000)))
    assert len(colours(tmp_path / "h.png")) > 10


def test_a_bias_by_height_is_a_rising_line(tmp_path):
    height = np.random.default_rng(0).uniform(0, 1000, 5000)
    by_height(tmp_path / "b.png", height_bias(0.01 * height - 5.0, height))
    blue = np.argwhere((np.asarray(Image.open(tmp_path / "b.png").convert("RGB")) == (33, 102, 172)).all(axis=-1))
    left, right = blue[blue[:, 1].argmin()], blue[blue[:, 1].argmax()]
    assert left[0] - right[0] > 100


def test_numbers_in_words_have_no_negative_zero():
    assert str(Spread.of(np.array([-0.001, -0.001, -0.001]))) == "median 0.00 m, NMAD 0.00 m"
