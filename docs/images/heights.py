"""Draw the pictures of `docs/explanation/heights.md` from made terrain: `python docs/images/heights.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from orograph.pipeline.core.pictures import draw_comparison

HERE = Path(__file__).parent
PIXEL_M = 30.0
SIZE = 200


def terrain(seed: int = 12) -> np.ndarray:
    """Hills of 400 m by spectral synthesis, (SIZE, SIZE) metres."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(2 * SIZE), np.fft.fftfreq(2 * SIZE)))
    frequency[0, 0] = 1.0
    hills = np.fft.ifft2(np.fft.fft2(rng.standard_normal((2 * SIZE, 2 * SIZE))) * frequency**-2.0).real[:SIZE, :SIZE]
    hills = (hills - hills.min()) / np.ptp(hills)
    return (100.0 + 400.0 * hills**1.3).astype(np.float32)


def moved(heights: np.ndarray, rows: float, cols: float) -> np.ndarray:
    """The terrain displaced by parts of a pixel."""
    at = np.mgrid[0:SIZE, 0:SIZE] + np.array([rows, cols])[:, None, None]
    return map_coordinates(heights, at, order=3, mode="nearest").astype(np.float32)


def half_a_pixel(heights: np.ndarray) -> None:
    """Corner taken for centre."""
    save("heights-half-pixel", heights, moved(heights, 0.5, 0.5), "true", "half a pixel off")


def void_as_height(heights: np.ndarray) -> None:
    """A void of -9999 that took part in averaging; its middle was filled afterwards."""
    rows, cols = np.mgrid[0:SIZE, 0:SIZE]
    void = (rows - 90) ** 2 + (cols - 120) ** 2 < 18**2
    drawn = gaussian_filter(np.where(void, -9999.0, heights), 1.2)
    drawn = np.where(void | (drawn < -100), np.nan, drawn)
    share = gaussian_filter(np.where(void, 0.0, 1.0), 1.2)
    kept = gaussian_filter(np.where(void, 0.0, heights), 1.2) / np.maximum(share, 1e-6)
    save(
        "heights-void",
        np.where(void, np.nan, kept).astype(np.float32),
        drawn,
        "averaged without the void",
        "the void took part",
    )


def canopy_at_a_border(heights: np.ndarray) -> None:
    """A DTM in the west, a DSM in the east."""
    rng = np.random.default_rng(3)
    woods = gaussian_filter(rng.standard_normal((SIZE, SIZE)), 6)
    trees = np.where(woods > woods.std() * 0.4, 18.0 + 3.0 * rng.standard_normal((SIZE, SIZE)), 0.0)
    trees[:, : SIZE // 2] = 0.0
    save("heights-canopy", heights, (heights + trees).astype(np.float32), "terrain", "DTM west, DSM east")


def resampled_thrice(heights: np.ndarray) -> None:
    """Three warps, each to a grid of its own, and back."""
    blurred = heights
    for rows, cols in ((0.4, 0.3), (0.35, -0.45), (-0.75, 0.15)):
        at = np.mgrid[0:SIZE, 0:SIZE] + np.array([rows, cols])[:, None, None]
        blurred = map_coordinates(blurred, at, order=1, mode="nearest")
    save("heights-resampled", heights, blurred.astype(np.float32), "delivered", "resampled three times")


def whole_metres(heights: np.ndarray) -> None:
    """A plain in whole metres."""
    plain = (2.0 + (zoom(heights[::4, ::4], 4, order=3) - 100.0) / 60.0).astype(np.float32)
    save("heights-integers", plain, np.round(plain), "a plain", "in whole metres")


def save(name: str, before: np.ndarray, after: np.ndarray, first: str, second: str) -> None:
    """Draw before, after and difference; 128 colours are enough for a page."""
    path = HERE / f"{name}.png"
    draw_comparison(path, before, after, (PIXEL_M, PIXEL_M), titles=(first, second), difference="difference")
    picture = Image.open(path).convert("RGB")
    picture = picture.resize((1000, round(1000 * picture.height / picture.width)), Image.Resampling.LANCZOS)
    picture.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    hills = terrain()
    for draw in (half_a_pixel, void_as_height, canopy_at_a_border, resampled_thrice, whole_metres):
        draw(hills)
