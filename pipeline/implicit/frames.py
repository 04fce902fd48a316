"""Pictures of a fit in progress: multidirectional hillshades and their animation."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.implicit.fields import Field

_AZIMUTHS_DEG: Final = (225.0, 270.0, 315.0, 360.0)
_ALTITUDE_DEG: Final = 30.0
_FRAMES_A_SECOND: Final = 25
_LAST_S: Final = 2.0


def multidirectional_hillshade(heights_m: np.ndarray, pixel_size_m: float, exaggeration: float = 1.0) -> np.ndarray:
    """Illuminate from four sides, each weighted where it grazes the slope (Mark, USGS OFR 92-422), uint8; void is 0.

    Args:
        heights_m: (rows, columns), metres, north up.
        pixel_size_m: Pixel size, metres.
        exaggeration: Factor on heights.
    """
    down, right = np.gradient(np.asarray(heights_m, dtype=np.float64) * (exaggeration / pixel_size_m))
    slope2 = down**2 + right**2
    aspect = np.arctan2(-right, down)
    altitude = np.radians(_ALTITUDE_DEG)
    total, norm = np.zeros(slope2.shape), np.zeros(slope2.shape)
    for azimuth_deg in _AZIMUTHS_DEG:
        azimuth = np.radians(azimuth_deg)
        facing = -right * np.sin(azimuth) + down * np.cos(azimuth)
        light = np.maximum(0.0, (np.sin(altitude) + np.cos(altitude) * facing) / np.sqrt(1.0 + slope2))
        share = np.sin(aspect - azimuth) ** 2 + 1e-3
        total += share * light
        norm += share
    shade = np.rint(1.0 + 254.0 * np.clip(total / norm, 0.0, 1.0))
    return np.where(np.isfinite(shade), shade, 0.0).astype(np.uint8)


class FrameWriter:
    """Collects hillshades of a surface during the fit and writes them as an animated GIF or an MP4.

    Args:
        shape: Rows and columns of the raster.
        pixel_size_m: Pixel size of the raster, metres.
        size_px: Longest side of the pictures.
    """

    def __init__(self, shape: tuple[int, int], pixel_size_m: float, size_px: int = 384) -> None:
        scale = min(1.0, size_px / max(shape))
        self._rows, self._cols = max(2, round(shape[0] * scale)), max(2, round(shape[1] * scale))
        self._pixel_size_m = pixel_size_m / scale
        self._pictures: list[np.ndarray] = []

    def __call__(self, _step: int, surface: Field) -> None:
        """Add one picture; the argument order is that of a fit's `on_frame`."""
        v, u = (np.arange(self._rows) + 0.5) / self._rows, (np.arange(self._cols) + 0.5) / self._cols
        self._pictures.append(multidirectional_hillshade(surface.grid(v, u), self._pixel_size_m))

    def __len__(self) -> int:
        return len(self._pictures)

    def write(self, path: Path, seconds: float = 0.2) -> None:
        """Write the animation: an MP4 (H.264) if the path ends in `.mp4`, a GIF otherwise; the last picture is held.

        Args:
            path: File to write.
            seconds: How long a picture stays; the last one stays for two seconds.

        Raises:
            ConfigError: there is no picture, or the library that writes videos is not installed.
        """
        if not self._pictures:
            raise ConfigError("no frame to animate", remedy="request at least one frame")
        if path.suffix.lower() == ".mp4":
            self._film(path, seconds)
            return
        from PIL import Image

        images = [Image.fromarray(picture) for picture in self._pictures]
        durations = [int(seconds * 1000)] * (len(images) - 1) + [int(_LAST_S * 1000)]
        images[0].save(path, save_all=True, append_images=images[1:], duration=durations, loop=0, format="GIF")

    def _film(self, path: Path, seconds: float) -> None:
        try:
            import av
        except ImportError as error:
            raise ConfigError("films need PyAV", remedy="pip install 'orograph[video]', or write a .gif") from error
        # H.264 stores colour at half resolution, so both sides must be even.
        rows, cols = (size + size % 2 for size in self._pictures[0].shape)
        with av.open(str(path), "w", options={"movflags": "faststart"}) as film:
            stream = film.add_stream("libx264", rate=_FRAMES_A_SECOND)
            stream.height, stream.width, stream.pix_fmt = rows, cols, "yuv420p"
            for number, picture in enumerate(self._pictures):
                whole = np.pad(picture, ((0, rows - picture.shape[0]), (0, cols - picture.shape[1])), mode="edge")
                stays = _LAST_S if number == len(self._pictures) - 1 else seconds
                for _ in range(max(1, round(stays * _FRAMES_A_SECOND))):
                    film.mux(stream.encode(av.VideoFrame.from_ndarray(whole, format="gray").reformat(format="yuv420p")))
            film.mux(stream.encode(None))
