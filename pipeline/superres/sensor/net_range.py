"""Range of sensors, factors and pixels that the network for sensors was trained on."""

from __future__ import annotations

from typing import Final

from orograph.pipeline.sources.sensor import SensorModel

FACTOR: Final = 3
_FOOTPRINTS_M: Final = (5.0, 45.0)
_PIXELS_M: Final = (15.0, 48.0)
_MOST_NOISE_M: Final = 10.0
_MOST_RANGE_M: Final = 60.0


def not_trained(sensor: SensorModel | None, factor: int, pixel_size_m: tuple[float, float]) -> str | None:
    """The first property of a sensor, factor or pixel that is outside of the range of the training, or None."""
    if sensor is None:
        return "a source without a sensor model"
    if factor != FACTOR:
        return f"a factor of {factor}"
    found = [f"a footprint of {sigma:g} m" for sigma in sensor.sigmas_m if not _within(sigma, _FOOTPRINTS_M)]
    found += [f"pixels of {size:.1f} m" for size in pixel_size_m if not _within(size, _PIXELS_M)]
    if sensor.noise_m > _MOST_NOISE_M:
        found.append(f"a noise of {sensor.noise_m:g} m")
    if sensor.noise_range_m > _MOST_RANGE_M:
        found.append(f"a noise with a range of {sensor.noise_range_m:g} m")
    return found[0] if found else None


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]
