"""Halving: averages, first and commonest of what is valid, at odd edges too."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.core.compiled import numpy_forms
from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.formats.overviews import Shrinking, halve

VOID = -32768.0


def test_average_leaves_voids_out() -> None:
    values = np.array([[1, 2, VOID], [3, VOID, VOID], [5, 7, 9]], np.float32)
    np.testing.assert_array_equal(halve(values, "average", VOID), np.array([[2, VOID], [6, 9]], np.float32))


def test_average_of_a_whole_raster_is_the_plain_mean() -> None:
    values = np.random.default_rng(3).normal(500, 90, (200, 300)).astype(np.float32)
    plain = values.reshape(100, 2, 150, 2).mean(axis=(1, 3), dtype=np.float64)
    np.testing.assert_allclose(halve(values, "average", VOID), plain, rtol=2e-7)


@pytest.mark.parametrize(
    ("four", "expected"),
    [((1, 2, 2, 2), 2), ((1, 2, 1, 2), 2), ((-1, -2, -1, -2), -2), ((7, -99, -99, -99), 7), ((-99,) * 4, -99)],
)
def test_integers_round_half_away_from_zero(four: tuple[int, ...], expected: int) -> None:
    values = np.array(four, np.int16).reshape(2, 2)
    assert halve(values, "average", -99).tolist() == [[expected]]


def test_nearest_and_mode() -> None:
    values = np.array([[255, 3, 4], [7, 7, 5], [1, 2, 255]], np.uint8)
    assert halve(values, "nearest", 255).tolist() == [[3, 4], [1, 255]]
    assert halve(values, "mode", 255).tolist() == [[7, 4], [1, 255]]
    assert halve(values, "mode", None).tolist() == [[7, 4], [1, 255]]
    assert halve(values, "nearest", None).tolist() == [[255, 4], [1, 255]]


@pytest.mark.parametrize("shape", [(625, 313), (313, 625), (1031, 3), (7, 9), (101, 200)])
@pytest.mark.parametrize("kind", ["float32", "int16"])
def test_odd_sizes_stay_in_place(shape: tuple[int, int], kind: str) -> None:
    """A ramp's overview, stretched over the whole raster as readers do, is displaced by less than a tenth of a pixel."""
    rows, cols = shape
    scale = 20
    y, x = np.mgrid[0:rows, 0:cols] + 0.5
    target = PixelWindow(0, 0, (rows + 1) // 2, (cols + 1) // 2)
    part = Shrinking.of(shape, target)
    assert (part.source.height, part.source.width) == shape
    for ramp, along, size in ((y, 0, rows), (x, 1, cols)):
        values = (scale * ramp).astype(kind)
        shrunk = part(values, "average", VOID).astype(np.float64) / scale
        count = (size + 1) // 2
        place = (np.arange(count) + 0.5) * size / count
        expected = place[:, None] if along == 0 else place[None, :]
        assert np.abs(shrunk - expected).max() / (size / count) < 0.1


def test_odd_sizes_in_windows_are_the_same_as_at_once() -> None:
    values = np.random.default_rng(5).normal(500, 90, (625, 301)).astype(np.float32)
    values[100:140, 50:90] = VOID
    whole = Shrinking.of(values.shape, PixelWindow(0, 0, 313, 151))(values, "average", VOID)
    assert (whole[52:68, 27:43] == VOID).all()
    for window in (PixelWindow(0, 0, 128, 128), PixelWindow(128, 0, 128, 128), PixelWindow(256, 128, 57, 23)):
        part = Shrinking.of(values.shape, window)
        cut = values[part.source.slices]
        np.testing.assert_allclose(part(cut, "average", VOID), whole[window.slices], rtol=1e-6)
    mean = values[values != VOID].mean()
    assert whole[whole != VOID].mean() == pytest.approx(mean, abs=1.0)


def test_labels_of_odd_sizes_are_labels_of_the_raster() -> None:
    values = np.array([[255, 3, 4], [7, 7, 5], [1, 2, 255]], np.uint8)
    part = Shrinking.of((3, 3), PixelWindow(0, 0, 2, 2))
    assert part(values, "mode", 255).tolist() == [[7, 4], [1, 5]]
    assert part(values, "nearest", 255).tolist() == [[3, 4], [1, 7]]


@pytest.mark.parametrize("shape", [(64, 96), (37, 51)])
@pytest.mark.parametrize(("kind", "nodata"), [("float32", VOID), ("int16", VOID), ("uint8", None)])
def test_numpy_forms_give_the_same_bits(shape: tuple[int, int], kind: str, nodata: float | None) -> None:
    """A first command on a machine writes the same overviews as later ones."""
    rng = np.random.default_rng(5)
    values = rng.normal(100, 40, shape).clip(0, 250).astype(kind)
    if nodata is not None:
        values[rng.random(shape) < 0.2] = nodata
    made = []
    for used in (False, True):
        with numpy_forms(used=used):
            part = Shrinking.of(shape, PixelWindow(0, 0, (shape[0] + 1) // 2, (shape[1] + 1) // 2))
            made.append((part(values, "average", nodata), halve(values, "average", nodata)))
    for compiled, plain in zip(*made, strict=True):
        np.testing.assert_array_equal(plain, compiled)
