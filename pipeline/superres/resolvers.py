"""Resolvers by name: all methods of upsampling share one signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from functools import cache, partial
from typing import Any, Final

from orograph.pipeline.core.weights_uri import Read, is_own
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.superres.resolver import Resolver

Factory = Callable[..., Resolver]
SENSOR: Final = "sensor"
"""Option by which a resolver is given the source's sensor model."""


def resolver_names() -> tuple[str, ...]:
    """Every name, sorted."""
    return tuple(sorted(_factories()))


def resolver(name: str, *, fetch: Read | None = None, **options: Any) -> Resolver:
    """Return the resolver of that name.

    Args:
        name: An exact interpolant (`nearest`, `bilinear`, `gdal-cubic`, `keys6`, `bspline`, `lanczos3`), the fitted
            `best-linear`, `sensor` for the best linear filter of a sensor model, `sensor-net` for that filter corrected by
            a network, a bundled network (`superres-s`), or
            weights in a `.safetensors` file, by path, URL with `#sha256=<hex>`, or `sha256:<hex>`.
        fetch: Reads weights by URL or content.
        **options: Options of the resolver's factory (networks: see `InferenceOptions`); exact interpolants have none.

    Raises:
        ConfigError: No resolver has the name, or it does not accept these options.
    """
    check_resolver(name, options)
    factory = _factories().get(name)
    if factory is None:
        from orograph.pipeline.superres.inference import net_resolver

        return net_resolver(name, fetch=fetch, **options)
    return factory(**options)


def check_resolver(name: str, options: Collection[str] = ()) -> None:
    """Check that a resolver has this name and accepts these options, without making it.

    Raises:
        ConfigError: No resolver has the name, or it does not accept these options.
    """
    if name not in _factories() and not is_own(name):
        raise ConfigError(f"no resolver is called {name!r}", remedy=f"one of: {', '.join(resolver_names())}")
    unknown = set(options) - _named_options(name)
    if unknown and not takes_options(name):
        accepted = ", ".join(sorted(_named_options(name)))
        raise ConfigError(
            f"{name!r} takes {f'only the options {accepted}' if accepted else 'no options'}, "
            f"given are {', '.join(sorted(unknown))}",
            remedy="ensemble, gate, device and precision are for networks such as superres-s",
        )


def takes_options(name: str) -> bool:
    """Return whether a resolver accepts noise, device and ensemble options: networks do, interpolants do not."""
    factory = _factories().get(name)
    return is_own(name) if factory is None else _open(factory)


def takes_sensor(name: str) -> bool:
    """Whether a resolver uses the source's sensor model, given as the option `sensor`."""
    return SENSOR in _named_options(name)


def _named_options(name: str) -> set[str]:
    """Options that the factory of a name lists, less those bound already."""
    factory = _factories().get(name)
    if factory is None or isinstance(factory, partial):
        return set()
    return {p.name for p in inspect.signature(factory).parameters.values() if p.kind is not p.VAR_KEYWORD}


def _open(factory: Factory) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(factory).parameters.values())


@cache
def _factories() -> dict[str, Factory]:
    """Every bundled resolver by name; networks import torch only when they are made."""
    from orograph.pipeline.superres.bundled import bundled_factories
    from orograph.pipeline.superres.interpolants import INTERPOLANTS, Interpolant

    return {name: partial(Interpolant, name) for name in INTERPOLANTS} | bundled_factories()
