"""Resolvers by name: whatever turns coarse heights into finer ones answers to one signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any, Final

from orograph.pipeline.core.weights_uri import is_own
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.superres.resolver import Resolver

Factory = Callable[..., Resolver]

_FACTORIES: Final[dict[str, Factory]] = {}


def register(name: str, factory: Factory) -> None:
    """Make a resolver available by name; a later registration replaces an earlier one."""
    _FACTORIES[name] = factory


def resolver_names() -> tuple[str, ...]:
    """Every registered name, sorted."""
    _load_builtins()
    return tuple(sorted(_FACTORIES))


def resolver(name: str, **options: Any) -> Resolver:
    """The resolver of that name.

    Args:
        name: An exact interpolant (`nearest`, `bilinear`, `gdal-cubic`, `keys6`, `bspline`, `lanczos3`), the fitted
            `best-linear`, a shipped network (`superres-s`), or weights in a `.safetensors` file, by path, URL with `#sha256=<hex>`, or `sha256:<hex>`.
        **options: What the resolver's factory takes (networks: see `InferenceOptions`); exact interpolants take none.

    Raises:
        ConfigError: No resolver has the name, or it takes no such options.
    """
    check_resolver(name, options)
    factory = _FACTORIES.get(name)
    if factory is None:
        from orograph.pipeline.superres.inference import net_resolver

        return net_resolver(name, **options)
    return factory(**options)


def check_resolver(name: str, options: Collection[str] = ()) -> None:
    """Look whether there is a resolver of a name that takes these options, without making it.

    Raises:
        ConfigError: No resolver has the name, or it takes no such options.
    """
    _load_builtins()
    if name not in _FACTORIES and not is_own(name):
        raise ConfigError(f"no resolver is called {name!r}", remedy=f"one of: {', '.join(sorted(_FACTORIES))}")
    if options and not takes_options(name):
        raise ConfigError(
            f"{name!r} takes no options, given are {', '.join(sorted(options))}",
            remedy="ensemble, gate, device and precision are for networks such as superres-s",
        )


def takes_options(name: str) -> bool:
    """Whether a resolver can be told of noise, devices, ensembles: networks can, interpolants cannot."""
    _load_builtins()
    factory = _FACTORIES.get(name)
    return is_own(name) if factory is None else _open(factory)


def _open(factory: Factory) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(factory).parameters.values())


def _load_builtins() -> None:
    """Import the modules that register what ships; networks import torch only when they are called."""
    from orograph.pipeline.superres import interpolants

    interpolants.register_all()
    from orograph.pipeline.superres.bundled import register_shipped

    register_shipped()
