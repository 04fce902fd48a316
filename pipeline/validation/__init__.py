"""Validation: heights of tiles or any raster against points, profiles or another raster."""

from orograph.pipeline.validation.control import Control, ControlColumns, read_control
from orograph.pipeline.validation.figures import AccuracyFigures
from orograph.pipeline.validation.validate import Validation, ValidationOptions, validate

__all__ = [
    "AccuracyFigures",
    "Control",
    "ControlColumns",
    "Validation",
    "ValidationOptions",
    "read_control",
    "validate",
]
