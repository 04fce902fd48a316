"""Borders: how well sources agree where they overlap, why they do not, and what would close the rest."""

from pipeline.borders.adjustment import NetworkResult, adjust_network
from pipeline.borders.compare import Border, Comparison, compare_sources
from pipeline.borders.routes import RouteCheck, check_routes
from pipeline.borders.statistics import DifferenceStatistics
from pipeline.vertical import Adjustment, AdjustmentFile

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
]
