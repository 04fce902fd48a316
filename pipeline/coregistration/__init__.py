"""Aligning a raster with a reference: shifts, ramps, tilts and smooth fields, each with what is known of its quality."""

from pipeline.coregistration.field import DisplacementField
from pipeline.coregistration.fit import fit
from pipeline.coregistration.methods import Method, parse_method
from pipeline.coregistration.neighbours import corner_displacement, smooth_shifts
from pipeline.coregistration.result import Coregistration
from pipeline.coregistration.status import Status

__all__ = [
    "Coregistration",
    "DisplacementField",
    "Method",
    "Status",
    "corner_displacement",
    "fit",
    "parse_method",
    "smooth_shifts",
]
