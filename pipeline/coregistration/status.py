"""How a coregistration ended, as a status."""

from __future__ import annotations

from enum import StrEnum


class CoregistrationStatus(StrEnum):
    """How a coregistration ended, as a status."""

    CONVERGED = "converged"
    """The displacement converged and is observable."""
    UNDULATED = "undulated"
    """Converged, but the heights still contain a periodic error; see `wave_left`."""
    ONE_DIRECTION = "one_direction"
    """The terrain constrains a shift along one direction only; the other is zero."""
    UNOBSERVABLE = "unobservable"
    """The terrain does not constrain a horizontal shift; only the vertical shift was fitted."""
    TOO_FEW = "too_few"
    """Not enough common heights; the displacement is zero."""
    REJECTED = "rejected"
    """Beyond the largest allowed shift, or no improvement; the horizontal shift is zero."""

    @property
    def aligned(self) -> bool:
        """Whether the displacement is reliable, as far as it was estimated."""
        return self in {
            CoregistrationStatus.CONVERGED,
            CoregistrationStatus.UNDULATED,
            CoregistrationStatus.ONE_DIRECTION,
        }
