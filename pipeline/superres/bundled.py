"""Learned super-resolution: a bias-free residual network in low-resolution space over an exact interpolant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from orograph.pipeline.core.bundled_weights import shipped_index
from orograph.pipeline.superres.resolver import Resolver
from orograph.pipeline.superres.resolvers import register


def register_shipped() -> None:
    """Register the networks whose weights the package ships; torch is imported when one is asked for."""
    index = Path(__file__).parents[1] / "weights" / "index.yaml"
    names = yaml.safe_load(index.read_text()) if index.exists() else None
    for name in names or ():
        register(name, lambda name=name, **options: _net(name, **options))
    register("best-linear", _linear)


def _linear() -> Resolver:
    from orograph.pipeline.superres.best_linear import shipped_linear

    return shipped_linear()


def _net(name: str, **options: Any) -> Resolver:
    from orograph.pipeline.superres.ensemble import Company
    from orograph.pipeline.superres.inference import net_resolver

    alone = net_resolver(name, **options)
    partner = shipped_index("superres").get(name, {}).get("ensemble_with")
    if partner is None or not options.get("ensemble"):
        return alone
    return Company(name, (alone, net_resolver(partner, **options)))
