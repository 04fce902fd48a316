"""Chooses the upsampling of each source under `superres=auto`: a method shown to improve it, or the interpolant."""

from __future__ import annotations

from typing import Final, NamedTuple

from orograph.pipeline.core.surface import Surface
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.sensor import NET_RESOLVER, RESOLVER
from orograph.pipeline.superres.sensor.net_range import not_trained
from orograph.pipeline.superres.zoom import IN_PLACE, zoom_of

AUTO: Final = "auto"
_NETWORK: Final = "superres-s"
_NETWORK_FACTOR: Final = 3


class Choice(NamedTuple):
    """A resolver's name, and the reason for it."""

    name: str
    reason: str


def upsampling_of(source: Source, settings: ProcessingSettings) -> Choice:
    """Choose the resolver of a source.

    `docs/benchmarks/real-sensors.md` and `super-resolution.md` contain the evidence: the filter improves heights
    of sensors with measured footprint and noise, networks improve lidar at a factor of three; on radar a network is
    worse.
    """
    if settings.superres != AUTO:
        return _requested(source, settings)
    sensor, zoom = source.sensor, zoom_of(source.resolution_m, settings.pixel_size_m)
    if sensor is not None:
        if sensor.errors.footprint_m is None or sensor.errors.noise_m is None:
            return Choice(IN_PLACE, "its sensor model was not measured")
        return Choice(RESOLVER, "its footprint and noise were measured")
    if source.surface is Surface.DSM:
        return Choice(IN_PLACE, "a DSM without a sensor model: nothing was shown to help")
    if zoom != _NETWORK_FACTOR:
        return Choice(IN_PLACE, f"no network was trained for factor {zoom}")
    return Choice(_NETWORK, "a terrain model at the factor that the network was trained for")


def _requested(source: Source, settings: ProcessingSettings) -> Choice:
    """The requested resolver, or the filter where the network for sensors was not trained for the source."""
    if settings.superres == NET_RESOLVER:
        zoom = zoom_of(source.resolution_m, settings.pixel_size_m)
        outside = not_trained(source.sensor, zoom, (source.resolution_m, source.resolution_m))
        if outside is not None:
            return Choice(RESOLVER, f"{NET_RESOLVER} was not trained for {outside}")
    return Choice(settings.superres, "requested")
