"""Validates processing settings against every registry before a tile is planned."""

from __future__ import annotations

from orograph.pipeline.bare_earth.filters import FILTERS
from orograph.pipeline.core.bundled_weights import bundled_index
from orograph.pipeline.core.precision import DEFAULT_PRECISION
from orograph.pipeline.core.weights_uri import is_own
from orograph.pipeline.coregistration.methods import parse_method
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.sensor import NET_RESOLVER
from orograph.pipeline.superres.choice import AUTO
from orograph.pipeline.superres.resolvers import check_resolver, takes_options
from orograph.pipeline.tile.stages import chain
from orograph.pipeline.vertical.catalogue import VerticalCatalogue

_BARE_EARTH_WITHOUT_WEIGHTS = ("none", "auto", *FILTERS)


def check_settings(settings: ProcessingSettings) -> None:
    """Check that every name in the settings exists and accepts the given options.

    Raises:
        ConfigError: an unknown resolver, bare-earth model, coregistration method, stage or vertical frame; the remedy
            lists the known ones. Also a device that these settings do not use.
    """
    if settings.superres not in ("none", AUTO) or (settings.superres == "none" and settings.superres_options):
        check_resolver(settings.superres, settings.superres_options)
    _check_bare_earth(settings.bare_earth)
    if settings.bare_earth_precision != DEFAULT_PRECISION and not has_bare_earth_network(settings):
        raise ConfigError(
            f"bare_earth_precision is {settings.bare_earth_precision}, but bare_earth is {settings.bare_earth}",
            remedy="choose a network (bare_earth=auto), or omit the precision",
        )
    if settings.coregistration != "none":
        parse_method(settings.coregistration)
    chain(settings.stages)
    if settings.device != "cpu" and not runs_on_device(settings):
        raise ConfigError(
            f"device is {settings.device}, but these settings do not use it",
            remedy="enable a network (superres, bare_earth) or coregistration, or omit the device",
        )
    VerticalCatalogue.load().frame(settings.target_frame)


def runs_on_device(settings: ProcessingSettings) -> bool:
    """Whether anything in the settings can run on a torch device."""
    networks = settings.superres in {AUTO, NET_RESOLVER} or (
        settings.superres != "none" and takes_options(settings.superres)
    )
    return networks or has_bare_earth_network(settings) or settings.coregistration != "none"


def has_bare_earth_network(settings: ProcessingSettings) -> bool:
    """Whether a bare-earth network may run: one is named, or `auto` may choose one."""
    return settings.bare_earth not in {"none", *FILTERS}


def _check_bare_earth(name: str) -> None:
    known = (*_BARE_EARTH_WITHOUT_WEIGHTS, *bundled_index("bare-earth"))
    if name not in known and not is_own(name):
        raise ConfigError(f"unknown bare-earth model {name!r}", remedy=f"use one of: {', '.join(known)}")
