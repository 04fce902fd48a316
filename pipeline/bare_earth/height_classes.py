"""Ordered classes of heights: intervals that widen with height, or equal intervals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
import torch

from orograph.pipeline.errors import ConfigError


class Spacing(StrEnum):
    """Spacing of the thresholds."""

    SID = "sid"
    """Classes equal in the logarithm of height + 1: fine at low heights (equation 1 with the shift of 1)."""
    UNIFORM = "uniform"
    """Equal in height."""


@dataclass(frozen=True, slots=True)
class Bins:
    """A height range cut into classes.

    Attributes:
        low_m: Lower end, metres.
        high_m: Upper end, metres; heights above belong to the last class.
        count: Number of classes K.
        spacing: How the K + 1 thresholds are spaced.
    """

    low_m: float = 0.0
    high_m: float = 60.0
    count: int = 32
    spacing: Spacing = Spacing.SID

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ConfigError(f"{self.count} height classes", remedy="use at least two")
        if not (np.isfinite(self.high_m) and self.low_m < self.high_m and self.low_m > -1.0):
            raise ConfigError(
                f"height classes from {self.low_m} to {self.high_m} m", remedy="heights are relative: start at 0"
            )

    @property
    def thresholds_m(self) -> np.ndarray:
        """The K + 1 thresholds t_0 ... t_K, metres, float64."""
        steps = np.arange(self.count + 1) / self.count
        if self.spacing is Spacing.UNIFORM:
            return self.low_m + (self.high_m - self.low_m) * steps
        low, high = np.log(self.low_m + 1.0), np.log(self.high_m + 1.0)
        return np.exp(low + (high - low) * steps) - 1.0

    @property
    def middles_m(self) -> np.ndarray:
        """The mean of each class's two thresholds (equation 4), shape (K,)."""
        t = self.thresholds_m
        return (t[:-1] + t[1:]) / 2.0

    def classes(self, heights_m: torch.Tensor) -> torch.Tensor:
        """Class of each height, int64 of the same shape; heights beyond the range belong to the class at its end."""
        inner = torch.from_numpy(self.thresholds_m[1:-1]).to(heights_m)
        return torch.bucketize(heights_m.contiguous(), inner, right=True)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return {"low_m": self.low_m, "high_m": self.high_m, "count": self.count, "spacing": str(self.spacing)}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """Read what `to_dict` wrote."""
        return cls(
            float(document["low_m"]), float(document["high_m"]), int(document["count"]), Spacing(document["spacing"])
        )
