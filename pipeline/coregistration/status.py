"""How an estimation ended."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How an estimation ended."""

    CONVERGED = "converged"
    """The displacement stands still and is observed."""
    UNOBSERVABLE = "unobservable"
    """The ground's shape does not tell a horizontal shift; only heights were fitted."""
    TOO_FEW = "too_few"
    """Not enough common heights; nothing moves."""
    REJECTED = "rejected"
    """Beyond the largest shift allowed, or no improvement; nothing moves sideways."""
