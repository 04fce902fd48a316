"""Renders heights: shaded relief with hypsometric tints, palettes for the colour-blind, terrain-RGB.

All functions map arrays of one map tile to arrays, independent of stores, requests and projections.
"""

from __future__ import annotations

import io
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

FloatArray = npt.NDArray[np.float32]
Rgba = npt.NDArray[np.uint8]

Stops = tuple[tuple[float, tuple[int, int, int]], ...]

# Lightness rises with height all the way, so the order survives every kind of colour vision and a grey printer.
HEIGHT_STOPS: Final[Stops] = (
    (-50.0, (57, 96, 104)),
    (0.0, (84, 128, 122)),
    (100.0, (104, 147, 127)),
    (300.0, (139, 170, 131)),
    (600.0, (177, 189, 141)),
    (1000.0, (207, 201, 155)),
    (1500.0, (219, 203, 168)),
    (2000.0, (226, 211, 187)),
    (2600.0, (235, 226, 213)),
    (3400.0, (246, 243, 240)),
    (4800.0, (255, 255, 255)),
)
_SNOW_M: Final = 2600.0
# Matplotlib's cividis, made for colour-blind eyes, on the square root of metres.
UNCERTAINTY_STOPS: Final[Stops] = (
    (0.0, (0, 34, 78)),
    (0.25, (35, 62, 108)),
    (0.5, (67, 84, 108)),
    (1.0, (102, 105, 112)),
    (2.0, (138, 134, 121)),
    (4.0, (183, 168, 109)),
    (7.0, (224, 200, 83)),
    (10.0, (254, 232, 56)),
)
FILLED_COLOUR: Final = (70, 70, 70)
# Matplotlib's magma from its light end: steeper is darker.
SLOPE_STOPS: Final[Stops] = (
    (0.0, (252, 251, 236)),
    (5.0, (254, 226, 163)),
    (10.0, (254, 187, 129)),
    (20.0, (248, 118, 92)),
    (30.0, (211, 67, 110)),
    (40.0, (150, 44, 128)),
    (50.0, (84, 19, 125)),
    (70.0, (20, 14, 54)),
)
# ColorBrewer's RdBu on a scale that shows decimetres and tens of metres: blue where the product is lower.
DIFFERENCE_STOPS: Final[Stops] = (
    (-25.0, (5, 48, 97)),
    (-10.0, (33, 102, 172)),
    (-4.0, (67, 147, 195)),
    (-1.5, (146, 197, 222)),
    (-0.5, (209, 229, 240)),
    (0.0, (247, 247, 247)),
    (0.5, (253, 219, 199)),
    (1.5, (244, 165, 130)),
    (4.0, (214, 96, 77)),
    (10.0, (178, 24, 43)),
    (25.0, (103, 0, 31)),
)
# North, east, south, west: one hue each, the sunny and the shady side apart in lightness too.
ASPECT_STOPS: Final[Stops] = (
    (0.0, (62, 73, 137)),
    (90.0, (53, 155, 144)),
    (180.0, (249, 214, 97)),
    (270.0, (200, 90, 90)),
    (360.0, (62, 73, 137)),
)
_FLAT_DEG: Final = 3.0
_FLAT_COLOUR: Final = (236, 234, 226)
WATER_COLOUR: Final = (170, 203, 216)
_SEA_LEVEL_M: Final = 2.0
"""Sea surfaces are this near to 0 in every vertical frame of Europe."""
_STILL_SLOPE: Final = 1e-4

_LIGHTS: Final = ((225.0, 0.13), (270.0, 0.22), (315.0, 0.50), (0.0, 0.15))
_LIGHT_ALTITUDE_DEG: Final = 42.0
_TERRARIUM_OFFSET_M: Final = 32768.0
# Three centimetres a step: far below what a picture shows, and PNG halves the file.
_TERRARIUM_STEP: Final = 32.0


def relief(heights_m: FloatArray, pixel_size_m: float, exaggeration: float) -> FloatArray:
    """Shading of heights by four weighted lights, 0 dark to 1 bright; flat terrain is about 0.67.

    Args:
        heights_m: Heights with a margin of one pixel on every side, (rows + 2, columns + 2); NaN is void.
        pixel_size_m: Pixel size on the terrain.
        exaggeration: Heights are multiplied by it; small scales need more.

    Returns:
        (rows, columns), NaN where a neighbour is void. Horn (1981) gradients.
    """
    east, north = gradient(heights_m, pixel_size_m, exaggeration)
    steep = 1.0 / np.sqrt(1.0 + east**2 + north**2)
    altitude = np.radians(_LIGHT_ALTITUDE_DEG)
    shade = np.zeros_like(east)
    for azimuth_deg, weight in _LIGHTS:
        azimuth = np.radians(azimuth_deg)
        towards = np.cos(altitude) * (-east * np.sin(azimuth) - north * np.cos(azimuth))
        shade += np.float32(weight) * np.clip((towards + np.sin(altitude)) * steep, 0.0, 1.0)
    # Steep terrain is a little darker at every aspect: ridges and valleys along the light keep their form.
    return (shade * (0.82 + 0.18 * steep)).astype(np.float32)


def gradient(heights_m: FloatArray, pixel_size_m: float, exaggeration: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Rise eastwards and northwards per metre (Horn 1981) of heights with a margin of one pixel."""
    z = heights_m * np.float32(exaggeration / (8.0 * pixel_size_m))
    east = z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:] - z[:-2, :-2] - 2 * z[1:-1, :-2] - z[2:, :-2]
    north = z[:-2, :-2] + 2 * z[:-2, 1:-1] + z[:-2, 2:] - z[2:, :-2] - 2 * z[2:, 1:-1] - z[2:, 2:]
    return east, north


def slope_deg(heights_m: FloatArray, pixel_size_m: float) -> FloatArray:
    """Slope in degrees of heights with a margin of one pixel."""
    steep: FloatArray = np.degrees(np.arctan(np.hypot(*gradient(heights_m, pixel_size_m))))
    return steep


def aspect_colours(heights_m: FloatArray, pixel_size_m: float) -> FloatArray:
    """Colours of the direction that slopes face, (rows, columns, 3); level terrain is pale."""
    east, north = gradient(heights_m, pixel_size_m)
    facing = np.asarray(np.degrees(np.arctan2(-east, -north)) % 360.0, dtype=np.float32)
    steep = np.degrees(np.arctan(np.hypot(east, north)))
    weight = np.clip(steep / _FLAT_DEG, 0.0, 1.0)[..., None].astype(np.float32)
    mixed = ramp(facing, ASPECT_STOPS) * weight + np.array(_FLAT_COLOUR, np.float32) * (1 - weight)
    return mixed.astype(np.float32)


def still_water(heights_m: FloatArray, pixel_size_m: float) -> npt.NDArray[np.bool_]:
    """Mask of the sea: slope below 1e-4 at about height 0; heights have a margin of one pixel, the result has none.

    Elevation models set the sea to one height, which a geoid tilts by some centimetres per kilometre; polders are
    not level, because of ditches and dikes.
    """
    east, north = gradient(heights_m, pixel_size_m)
    level = (np.abs(heights_m[1:-1, 1:-1]) < _SEA_LEVEL_M) & (np.hypot(east, north) < _STILL_SLOPE)
    return ndimage.binary_opening(level, iterations=2)


def with_water(painted: Rgba, water: npt.NDArray[np.bool_]) -> Rgba:
    """Paint water into a picture."""
    if water.any():
        painted[water, :3] = WATER_COLOUR
    return painted


def ramp(values: FloatArray, stops: Stops) -> FloatArray:
    """Colours of values by linear interpolation between stops: (rows, columns, 3), 0 to 255."""
    positions = [position for position, _ in stops]
    filled = np.nan_to_num(values, nan=positions[0])
    channels = [np.interp(filled, positions, [colour[i] for _, colour in stops]) for i in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def categories(values: FloatArray, colours: dict[int, tuple[int, int, int]]) -> FloatArray:
    """Colours of whole numbers: (rows, columns, 3), 0 to 255; unlisted numbers are grey."""
    table = np.full((256, 3), FILLED_COLOUR, dtype=np.float32)
    for value, colour in colours.items():
        table[value] = colour
    chosen: FloatArray = table[np.nan_to_num(values, nan=255.0).astype(np.uint8)]
    return chosen


def height_stops(highest_m: float) -> Stops:
    """Tints for terrain up to a height: for mountains all tints of Europe, for lowlands compressed and without snow.

    The height is rounded up to a power of two, so that one more tile seldom changes every picture.
    """
    part = next((part for part in (8.0, 4.0, 2.0) if highest_m * part <= _SNOW_M), None)
    if part is None:
        return HEIGHT_STOPS
    return tuple((value / part if value > 0 else value, colour) for value, colour in HEIGHT_STOPS if value <= _SNOW_M)


def spread(low_m: float, high_m: float) -> Stops:
    """Stretch the tints of land over a span of heights, so that a view uses all of them."""
    land = [(value, colour) for value, colour in HEIGHT_STOPS if value >= 0]
    places = [index / (len(land) - 1) for index in range(len(land))]
    return tuple((low_m + place * (high_m - low_m), colour) for place, (_, colour) in zip(places, land, strict=True))


def shaded(colours: FloatArray, shade: FloatArray, strength: float = 1.0) -> Rgba:
    """Apply relief shading to colours; transparent where the shade is NaN.

    Shadows become blue-grey and highlights warm white, as on a painted relief map.
    """
    visible = np.isfinite(shade)
    light = np.nan_to_num(shade, nan=0.67)[..., None]
    contrast = np.clip((light - 0.66) * 1.75 * strength, -1.0, 1.0)
    shadow, sun = np.array((38, 50, 74), np.float32), np.array((255, 250, 238), np.float32)
    down, up = np.clip(-contrast, 0, 1) * 0.72, np.clip(contrast, 0, 1) * 0.62
    mixed = colours * (1 - down - up) + shadow * down + sun * up
    alpha = np.where(visible, 255.0, 0.0)[..., None]
    return np.concatenate([np.clip(mixed, 0, 255), alpha], axis=-1).astype(np.uint8)


def terrarium(heights_m: FloatArray) -> Rgba:
    """Heights as terrain-RGB in the `terrarium` encoding, without alpha: (rows, columns, 3).

    height = red * 256 + green + blue / 256 - 32768, in steps of 1/32 m. Voids become black, which reads as -32768 m;
    fill them for a browser's 3D terrain, which takes every pixel as a height.
    """
    heights = np.nan_to_num(heights_m.astype(np.float64), nan=-_TERRARIUM_OFFSET_M)
    value = np.round((heights + _TERRARIUM_OFFSET_M) * _TERRARIUM_STEP) / _TERRARIUM_STEP
    whole = np.floor(value)
    channels = (whole // 256, whole % 256, np.floor((value - whole) * 256))
    return np.stack(channels, axis=-1).astype(np.uint8)


def extended(heights_m: FloatArray) -> FloatArray:
    """Fill voids with the nearest height, so that no step appears at their edge; zeros if all is void."""
    void = ~np.isfinite(heights_m)
    if not void.any():
        return heights_m
    if void.all():
        return np.zeros_like(heights_m)
    rows, cols = ndimage.distance_transform_edt(void, return_distances=False, return_indices=True)
    filled: FloatArray = heights_m[rows, cols]
    return filled


def bridged(heights_m: FloatArray, width_px: int = 2) -> FloatArray:
    """Fill voids up to `width_px` from a height: the thin gap between two tiles that are read separately."""
    void = ~np.isfinite(heights_m)
    if not void.any() or void.all():
        return heights_m
    closed = ndimage.binary_closing(np.pad(~void, width_px), iterations=width_px)[
        width_px:-width_px, width_px:-width_px
    ]
    hairline = closed & void
    if not hairline.any():
        return heights_m
    rows, cols = ndimage.distance_transform_edt(void, return_distances=False, return_indices=True)
    return np.where(hairline, heights_m[rows, cols], heights_m)


def encoded(pixels: Rgba, form: Literal["png", "webp"], *, is_lossless: bool = False) -> bytes:
    """Encode an image of shape (rows, columns, 3 or 4); WebP is lossy by default."""
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    if form == "png":
        image.save(buffer, "PNG", compress_level=4)
    elif is_lossless:
        image.save(buffer, "WEBP", lossless=True, method=0, exact=True)
    else:
        image.save(buffer, "WEBP", quality=80, method=2)
    return buffer.getvalue()
