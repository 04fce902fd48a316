"""Orograph: one seamless, vertically harmonised European terrain model from open elevation data.

The names below are the public Python API; each is imported when it is first used. Errors are in `orograph.errors`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orograph.infra.api.points import Height, height
    from orograph.infra.api.steps import Coregistration, bare_earth, coregister, harmonise, superresolve
    from orograph.infra.api.terrain import Terrain, open_store
    from orograph.infra.api.tiles import plan, run_tile
    from orograph.pipeline import errors
    from orograph.pipeline.errors import OrographError
    from orograph.pipeline.version import __version__

_POINTS, _STEPS, _TERRAIN, _TILES = (f"orograph.infra.api.{name}" for name in ("points", "steps", "terrain", "tiles"))
_HOME = {
    "Coregistration": _STEPS,
    "Height": _POINTS,
    "OrographError": "orograph.pipeline.errors",
    "Terrain": _TERRAIN,
    "__version__": "orograph.pipeline.version",
    "bare_earth": _STEPS,
    "coregister": _STEPS,
    "harmonise": _STEPS,
    "height": _POINTS,
    "open_store": _TERRAIN,
    "plan": _TILES,
    "run_tile": _TILES,
    "superresolve": _STEPS,
}

__all__ = [
    "Coregistration",
    "Height",
    "OrographError",
    "Terrain",
    "__version__",
    "bare_earth",
    "coregister",
    "errors",
    "harmonise",
    "height",
    "open_store",
    "plan",
    "run_tile",
    "superresolve",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("orograph.pipeline.errors")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_module(_HOME[name]), name)


def _module(path: str) -> Any:
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        from orograph.pipeline.core.extras import missing_package

        raise (missing_package(error) or error) from error


def __dir__() -> list[str]:
    return sorted(__all__)
