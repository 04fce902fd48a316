"""Coregistration: aligns a raster with a reference by shifts, ramps, tilts and smooth fields, with quality figures.

Names are imported when they are first used: planning needs the names of methods only, and no kernel.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from orograph.pipeline.coregistration.field import DisplacementField
    from orograph.pipeline.coregistration.fitting import fit
    from orograph.pipeline.coregistration.methods import Method, parse_method
    from orograph.pipeline.coregistration.result import Coregistration
    from orograph.pipeline.coregistration.status import CoregistrationStatus
    from orograph.pipeline.coregistration.tile_smoothing import corner_displacement, smooth_shifts

__all__ = [
    "Coregistration",
    "CoregistrationStatus",
    "DisplacementField",
    "Method",
    "corner_displacement",
    "fit",
    "parse_method",
    "smooth_shifts",
]

_MODULES: Final = {
    "Coregistration": "result",
    "CoregistrationStatus": "status",
    "DisplacementField": "field",
    "Method": "methods",
    "corner_displacement": "tile_smoothing",
    "fit": "fitting",
    "parse_method": "methods",
    "smooth_shifts": "tile_smoothing",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
