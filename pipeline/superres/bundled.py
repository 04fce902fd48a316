"""Bundled networks by name: a bias-free residual network in low-resolution space over an exact interpolant."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from orograph.pipeline.core.bundled_weights import bundled_index
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.sources.sensor import NET_RESOLVER, RESOLVER, SensorModel
from orograph.pipeline.superres.resolver import Resolver


def bundled_factories() -> dict[str, Callable[..., Resolver]]:
    """Factories of the bundled networks; torch is imported when a network is made."""
    return {name: partial(_net, name) for name in bundled_index("superres")} | {
        "best-linear": _linear,
        RESOLVER: _sensor,
        NET_RESOLVER: _sensor_net,
    }


def _linear() -> Resolver:
    from orograph.pipeline.superres.best_linear import bundled_linear

    return bundled_linear()


def _sensor(sensor: SensorModel | None = None, noise_m: float = 0.0) -> Resolver:
    from orograph.pipeline.superres.sensor.resolver import SensorFilter

    return SensorFilter(sensor, noise_m)


def _sensor_net(
    sensor: SensorModel | None = None,
    device: str = "cpu",
    precision: Precision = DEFAULT_PRECISION,
    weights: str = "",
) -> Resolver:
    from orograph.pipeline.superres.sensor.net_resolver import FORMAT, SensorNetOptions, SensorNetResolver
    from orograph.pipeline.superres.weights import load_weights

    own = load_weights(weights, format_=FORMAT) if weights else None
    return SensorNetResolver(sensor, own, SensorNetOptions(precision, device))


def _net(name: str, **options: Any) -> Resolver:
    from orograph.pipeline.superres.ensemble import Ensemble
    from orograph.pipeline.superres.inference import net_resolver

    alone = net_resolver(name, **options)
    partner = bundled_index("superres").get(name, {}).get("ensemble_with")
    if partner is None or not options.get("ensemble"):
        return alone
    return Ensemble(name, (alone, net_resolver(partner, **options)))
