"""Meaning of a network's last layer: ordinal probabilities, class probabilities, or a height.

Each head defines its number of channels, its training loss, and the conversion of outputs to heights with a spread.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own habit

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.errors import NoTrainingPixels


class HeadKind(StrEnum):
    """The paper's head and its two ablations."""

    ORDINAL = "ordinal"
    CLASSIFICATION = "classification"
    MSE = "mse"


class Decoding(StrEnum):
    """Method that reduces a distribution to one height."""

    MIDDLE = "middle"
    """The middle of the most plausible class, as in the paper."""
    EXPECTATION = "expectation"
    """The mean over all classes."""


@dataclass(frozen=True, slots=True, eq=False)
class HeightEstimate:
    """Heights and their spread, tensors (batch, rows, columns), metres."""

    height_m: torch.Tensor
    spread_m: torch.Tensor


class Head(Protocol):
    """Interpretation of a network's outputs."""

    @property
    def kind(self) -> HeadKind:
        """Kind of the head."""

    @property
    def channels(self) -> int:
        """Output channels the network must have."""

    def loss(self, outputs: torch.Tensor, heights_m: torch.Tensor) -> torch.Tensor:
        """Mean cost over the pixels whose height is finite.

        Args:
            outputs: (batch, channels, rows, columns).
            heights_m: (batch, rows, columns); NaN pixels are left out.

        Raises:
            NoTrainingPixels: no pixel has a height.
        """

    def decode(self, outputs: torch.Tensor, decoding: Decoding = Decoding.MIDDLE) -> HeightEstimate:
        """Heights and spread of outputs (batch, channels, rows, columns)."""


@dataclass(frozen=True, slots=True)
class OrdinalHead:
    """2 K channels: for each class k, a pair whose softmax is P(class > k) (equations 2 and 3)."""

    bins: Bins
    kind: HeadKind = HeadKind.ORDINAL

    @property
    def channels(self) -> int:
        """Number of output channels: two per class."""
        return 2 * self.bins.count

    def loss(self, outputs: torch.Tensor, heights_m: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
        """Equation 2: log P(class > k) below the true class, log P(class <= k) from it on, summed over classes.

        With `weight`, of the heights' shape, a weighted mean.
        """
        valid = _valid(heights_m)
        logit = self._logits(outputs)
        target = self.bins.classes(torch.nan_to_num(heights_m))
        k = torch.arange(self.bins.count, device=outputs.device).view(1, -1, 1, 1)
        above = (target[:, None] > k).to(outputs.dtype)
        cost = F.binary_cross_entropy_with_logits(logit, above, reduction="none").sum(dim=1)
        if weight is None:
            return cost[valid].mean()
        return (cost * weight)[valid].sum() / weight[valid].sum()

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """P(class > k), shape (batch, K, rows, columns), made non-increasing in k."""
        return torch.cummin(torch.sigmoid(self._logits(outputs)), dim=1).values

    def exceeding(self, outputs: torch.Tensor, height_m: float) -> torch.Tensor:
        """P(height > height_m), interpolated between thresholds, shape (batch, rows, columns)."""
        above = self.probabilities(outputs)
        # P(class > k) is P(height > t_{k+1}).
        t = self.bins.thresholds_m[1:]
        k = int(min(max((t < height_m).sum(), 1), len(t) - 1))
        share = float((height_m - t[k - 1]) / (t[k] - t[k - 1]))
        share = min(max(share, 0.0), 1.0)
        return above[:, k - 1] * (1.0 - share) + above[:, k] * share

    def decode(self, outputs: torch.Tensor, decoding: Decoding = Decoding.MIDDLE) -> HeightEstimate:
        """The class is the number of classes k with P(class > k) >= 0.5."""
        above = self.probabilities(outputs)
        mean, spread = _moments(_from_above(above), self.bins)
        if decoding is Decoding.EXPECTATION:
            return HeightEstimate(mean, spread)
        chosen = (above >= 0.5).sum(dim=1).clamp(max=self.bins.count - 1)
        return HeightEstimate(_middles(self.bins, outputs)[chosen], spread)

    @staticmethod
    def _logits(outputs: torch.Tensor) -> torch.Tensor:
        return outputs[:, 1::2] - outputs[:, 0::2]


@dataclass(frozen=True, slots=True)
class ClassificationHead:
    """K channels: unordered classes, the paper's multi-class ablation."""

    bins: Bins
    kind: HeadKind = HeadKind.CLASSIFICATION

    @property
    def channels(self) -> int:
        """Number of output channels: one per class."""
        return self.bins.count

    def loss(self, outputs: torch.Tensor, heights_m: torch.Tensor) -> torch.Tensor:
        """Cross entropy of the true class."""
        valid = _valid(heights_m)
        target = self.bins.classes(torch.nan_to_num(heights_m))
        return F.cross_entropy(outputs, target, reduction="none")[valid].mean()

    def decode(self, outputs: torch.Tensor, decoding: Decoding = Decoding.MIDDLE) -> HeightEstimate:
        """The most probable class, or the mean over all."""
        share = outputs.softmax(dim=1)
        mean, spread = _moments(share, self.bins)
        if decoding is Decoding.EXPECTATION:
            return HeightEstimate(mean, spread)
        return HeightEstimate(_middles(self.bins, outputs)[share.argmax(dim=1)], spread)


@dataclass(frozen=True, slots=True)
class MseHead:
    """One channel, the height itself; the paper's regression ablation."""

    bins: Bins
    kind: HeadKind = HeadKind.MSE

    @property
    def channels(self) -> int:
        """Number of output channels: one."""
        return 1

    def loss(self, outputs: torch.Tensor, heights_m: torch.Tensor) -> torch.Tensor:
        """Squared error, square metres."""
        valid = _valid(heights_m)
        return (outputs[:, 0] - heights_m)[valid].square().mean()

    def decode(self, outputs: torch.Tensor, decoding: Decoding = Decoding.MIDDLE) -> HeightEstimate:  # noqa: ARG002
        """The output, clipped to the range of the other heads; the spread is NaN, because a single number has none."""
        height = outputs[:, 0].clamp(self.bins.low_m, self.bins.high_m)
        return HeightEstimate(height, torch.full_like(height, torch.nan))


def head_of(kind: HeadKind, bins: Bins) -> OrdinalHead | ClassificationHead | MseHead:
    """The head of a kind."""
    if kind is HeadKind.ORDINAL:
        return OrdinalHead(bins)
    return ClassificationHead(bins) if kind is HeadKind.CLASSIFICATION else MseHead(bins)


def _valid(heights_m: torch.Tensor) -> torch.Tensor:
    valid = torch.isfinite(heights_m)
    if not bool(valid.any()):
        raise NoTrainingPixels("a batch without a single height")
    return valid


def _middles(bins: Bins, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(bins.middles_m).to(like)


def _from_above(above: torch.Tensor) -> torch.Tensor:
    """Class probabilities from P(class > k); the last P is of no class and its mass belongs to the last class."""
    full = torch.cat([torch.ones_like(above[:, :1]), above[:, :-1], torch.zeros_like(above[:, :1])], dim=1)
    return full[:, :-1] - full[:, 1:]


def _moments(share: torch.Tensor, bins: Bins) -> tuple[torch.Tensor, torch.Tensor]:
    middle = _middles(bins, share).view(1, -1, 1, 1)
    width = torch.from_numpy(bins.thresholds_m[1:] - bins.thresholds_m[:-1]).to(share).view(1, -1, 1, 1)
    mean = (share * middle).sum(dim=1)
    variance = (share * ((middle - mean[:, None]).square() + width.square() / 12.0)).sum(dim=1)
    return mean, variance.clamp(min=0.0).sqrt()
