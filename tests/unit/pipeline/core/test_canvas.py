"""Ticks are round, frames place values, colour ramps end in their stops."""

import numpy as np
import pytest
from PIL import Image

from orograph.pipeline.core.canvas import Axes, Box, Canvas, ticks
from orograph.pipeline.core.painting import RED_BLUE, VOID, ramp


@pytest.mark.parametrize(
    ("limits", "most", "labels"),
    [
        ((0.0, 1.0), 5, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        ((8653.9, 8674.1), 9, ["8655.0", "8657.5", "8660.0", "8662.5", "8665.0", "8667.5", "8670.0", "8672.5"]),
        ((-12.0, 31.0), 5, ["-10", "0", "10", "20", "30"]),
        ((-0.03, 0.03), 3, ["-0.02", "0.00", "0.02"]),
        ((2.0, 2.0), 4, ["2"]),
    ],
)
def test_ticks_are_round_numbers(limits, most, labels):
    assert [text for _, text in ticks(*limits, most=most)] == labels


def test_a_ramp_starts_and_ends_with_its_stops():
    colours = ramp(np.array([[-9.0, -1.0, 0.0, 1.0, np.nan]]), RED_BLUE, -1.0, 1.0)
    expected = [RED_BLUE[0], RED_BLUE[0], RED_BLUE[2], RED_BLUE[4], VOID]
    np.testing.assert_allclose(colours[0], expected, atol=0.5)


def test_values_are_drawn_in_their_places(tmp_path):
    axes = Axes(Canvas(120, 100), Box(10, 10, 110, 90), (0.0, 10.0), (-4.0, 4.0))
    np.testing.assert_allclose(axes.at([0.0, 10.0], [-4.0, 4.0]), [[10, 90], [110, 10]])
    axes.dots(np.array([2.5, 99.0]), np.array([2.0, 0.0]), np.array([[200, 0, 0], [0, 0, 200]]), size=4)
    axes.bars(np.array([5.0, 6.0]), np.array([2.0]), (0, 150, 0))
    axes.canvas.save(tmp_path / "c.png")
    pixels = np.asarray(Image.open(tmp_path / "c.png"))
    assert tuple(pixels[30, 35]) == (200, 0, 0)
    assert tuple(pixels[45, 65]) == (0, 150, 0)
    assert not (pixels == (0, 0, 200)).all(axis=-1).any()


def test_long_titles_are_shortened_and_arrows_stay_inside(tmp_path):
    canvas = Canvas(200, 100)
    canvas.title(Box(10, 30, 190, 90), "a very long title " * 10, 180)
    canvas.arrows(Box(10, 30, 190, 90), np.array([[100.0, 60.0]]), np.array([[500.0, 0.0]]))
    canvas.save(tmp_path / "t.png")
    dark = np.argwhere(np.asarray(Image.open(tmp_path / "t.png").convert("L")) < 128)
    assert dark[:, 1].min() >= 10
    assert dark[:, 1].max() < 192
