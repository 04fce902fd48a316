"""The two versions: the software's, and the results'."""

from typing import Final

__version__: Final = "0.2.0"

PROCESSING_VERSION: Final = 9
"""Raised when the same inputs and configuration give other heights; part of every run key.

A release that changes no result leaves it alone, so published tiles stay up to date across upgrades.
"""
