"""Borders: agreement of sources in their overlaps, causes of differences, and a network adjustment."""

from orograph.pipeline.borders.closure_check import RouteCheck, check_routes
from orograph.pipeline.borders.compare import Border, Comparison, compare_sources
from orograph.pipeline.borders.solve import NetworkResult, adjust_network, source_weights
from orograph.pipeline.borders.statistics import DifferenceStatistics
from orograph.pipeline.vertical import Adjustment, AdjustmentFile

__all__ = [
    "Adjustment",
    "AdjustmentFile",
    "Border",
    "Comparison",
    "DifferenceStatistics",
    "NetworkResult",
    "RouteCheck",
    "adjust_network",
    "check_routes",
    "compare_sources",
    "source_weights",
]
