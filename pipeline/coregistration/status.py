"""How an estimation ended."""

from __future__ import annotations

from enum import StrEnum


class CoregistrationStatus(StrEnum):
    """How an estimation ended."""

    CONVERGED = "converged"
    """The displacement stands still and is observed."""
    UNDULATED = "undulated"
    """Converged, but a periodic error is left in the heights; `wave_left` says which."""
    ONE_DIRECTION = "one_direction"
    """The terrain's shape tells a shift along one direction only; along the other nothing moves."""
    UNOBSERVABLE = "unobservable"
    """The terrain's shape does not tell a horizontal shift; only heights were fitted."""
    TOO_FEW = "too_few"
    """Not enough common heights; nothing moves."""
    REJECTED = "rejected"
    """Beyond the largest shift allowed, or no improvement; nothing moves sideways."""

    @property
    def aligned(self) -> bool:
        """Whether the displacement is to be believed, as far as it goes."""
        return self in {
            CoregistrationStatus.CONVERGED,
            CoregistrationStatus.UNDULATED,
            CoregistrationStatus.ONE_DIRECTION,
        }
