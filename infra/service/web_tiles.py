"""Addresses of map tiles: the WebMercatorQuad matrix set with tiles of 512 pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from orograph.infra.service.problem_documents import Problem

Layer = Literal["relief", "hillshade", "slope", "aspect", "uncertainty", "source", "terrain", "heights"]
LAYERS: Final[tuple[Layer, ...]] = (
    "relief",
    "hillshade",
    "slope",
    "aspect",
    "uncertainty",
    "source",
    "terrain",
    "heights",
)
ENCODED_LAYERS: Final = frozenset({"terrain", "heights"})
"""Heights as numbers in the terrarium encoding: for 3D without voids, and as they are, where a void is black."""
SOURCE_LAYERS: Final = frozenset({"relief", "hillshade", "slope", "aspect", "terrain"})
"""Layers drawn from heights alone, so that a source has them too."""

Form = Literal["png", "webp"]
MEDIA_TYPES: Final[dict[Form, str]] = {"png": "image/png", "webp": "image/webp"}

TILE_PX: Final = 512
MIN_ZOOM: Final = 5
MAX_ZOOM: Final = 17
MERCATOR_HALF_M: Final = math.pi * 6378137.0


@dataclass(frozen=True, slots=True)
class Address:
    """A map tile of the WebMercatorQuad matrix set."""

    z: int
    x: int
    y: int

    def __post_init__(self) -> None:
        if not MIN_ZOOM <= self.z <= MAX_ZOOM or not (0 <= self.x < 1 << self.z and 0 <= self.y < 1 << self.z):
            raise Problem(404, "Not Found", f"map tiles go from zoom {MIN_ZOOM} to {MAX_ZOOM}")

    @property
    def parent(self) -> Address:
        """The map tile one zoom out that contains this one."""
        return Address(self.z - 1, self.x // 2, self.y // 2)

    @property
    def pixel_m(self) -> float:
        """Pixel size in metres of Web Mercator."""
        return pixel_m(self.z)

    def bounds_m(self, margin_px: int = 0) -> tuple[float, float, float, float]:
        """West, south, east, north in Web Mercator."""
        size, margin = self.pixel_m * TILE_PX, self.pixel_m * margin_px
        west, north = -MERCATOR_HALF_M + self.x * size, MERCATOR_HALF_M - self.y * size
        return west - margin, north - size - margin, west + size + margin, north + margin

    @property
    def ground_pixel_m(self) -> float:
        """Pixel size in metres on the terrain at the tile's centre."""
        _, south, _, north = self.bounds_m()
        latitude = 2 * math.atan(math.exp((south + north) / 2 / 6378137.0)) - math.pi / 2
        return self.pixel_m * math.cos(latitude)

    @property
    def exaggeration(self) -> float:
        """Vertical exaggeration of relief shading, larger at small scales, where slopes would be invisible."""
        return min(6.0, max(1.0, 1.35 ** (13 - self.z)))


def pixel_m(zoom: int) -> float:
    """Pixel size of a zoom in metres of Web Mercator."""
    return 2 * MERCATOR_HALF_M / (1 << zoom) / TILE_PX


def native_zoom(gsd_m: float) -> int:
    """The zoom whose pixel size at 50 degrees north is about that of the data."""
    for zoom in range(MIN_ZOOM, MAX_ZOOM):
        if pixel_m(zoom) * 0.643 <= gsd_m * 1.2:
            return zoom
    return MAX_ZOOM
