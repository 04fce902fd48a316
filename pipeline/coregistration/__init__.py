"""Coregistration: aligns a raster with a reference by shifts, ramps, tilts and smooth fields, with quality figures."""

from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.fit import fit
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
