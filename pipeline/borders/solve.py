"""Network adjustment: one constant or plane per source, constrained by the operations' accuracies.

Datum operations cannot remove all differences between national surveys. On request, every source gets a small
correction: weighted least squares over the differences in all overlaps, with the published accuracy of each source's
operation as a prior on its correction. The correction is a step of the operation and is named in every manifest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.network_adjustment import Adjustment, Model
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.vertical import Operation

LEAST_SIGMA_M: Final = 0.005
"""Minimum standard error of a block's median: neighbouring pixels share their errors."""
PLANE_SIGMA_PER_KM: Final = 0.0005
"""Prior on a plane's slope: 5 cm in 100 km, the steepest tilt between EVRF2007 and national frames."""
SURVEY_ACCURACY_M: Final = 1.0
"""Terrain models with a smaller standard error than this are surveys."""
LEAST_DSM_M: Final = 2.0
"""Minimum standard error of a DSM as terrain: it contains canopy and buildings."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The median difference A minus B of one block of an overlap, metres, at its position in EPSG:3035."""

    a: str
    b: str
    difference_m: float
    sigma_m: float
    east_m: float
    north_m: float


@dataclass(frozen=True, slots=True)
class NetworkResult:
    """Corrections and residuals of an adjustment.

    Attributes:
        adjustments: Corrections by source id.
        rms_before_m, rms_after_m: Root mean square of the blocks' weighted differences.
        redundancy: Number of observations and priors minus the number of unknowns.
    """

    adjustments: dict[str, Adjustment]
    rms_before_m: float
    rms_after_m: float
    redundancy: int


def adjust_network(
    observations: Sequence[Observation],
    accuracies_m: Mapping[str, float],
    *,
    local_m: Mapping[str, float] | None = None,
    model: Model = "constant",
) -> NetworkResult:
    """Solve for one correction per source by least squares.

    Args:
        observations: Block medians of all overlaps, heights already in the target frame.
        accuracies_m: Standard deviation of each source's constant; smaller values allow smaller corrections.
        local_m: Standard deviation of a source's mean error over a block, such as canopy; zero when None. See
            `source_weights`.
        model: A constant per source, or a plane.

    Raises:
        ConfigError: no observation, or one of an unknown source.
    """
    if not observations:
        raise ConfigError(
            "no overlap to adjust", remedy="the sources must overlap on at least one block of flat terrain"
        )
    if local_m is not None:
        observations = [
            replace(o, sigma_m=math.hypot(o.sigma_m, local_m.get(o.a, 0.0), local_m.get(o.b, 0.0)))
            for o in observations
        ]
    ids = sorted({name for o in observations for name in (o.a, o.b)})
    if missing := [name for name in ids if name not in accuracies_m]:
        raise ConfigError(f"the accuracy is unknown for {', '.join(missing)}")
    width = 1 if model == "constant" else 3
    centres = {name: _centre(name, observations) for name in ids}
    design, right = _rows(observations, ids, centres, width)
    priors = _priors(ids, accuracies_m, width)
    normal = np.vstack([design, np.diag(priors)])
    target = np.concatenate([right, np.zeros(len(priors))])
    solution, *_ = np.linalg.lstsq(normal, target, rcond=None)
    covariance = np.linalg.inv(normal.T @ normal)
    weights = np.array([1 / max(o.sigma_m, LEAST_SIGMA_M) for o in observations])
    adjustments = {
        name: _adjustment(solution[i * width : (i + 1) * width], covariance[i * width, i * width], centres[name])
        for i, name in enumerate(ids)
    }
    return NetworkResult(
        adjustments,
        rms_before_m=_rms(right / weights, weights),
        rms_after_m=_rms((right - design @ solution) / weights, weights),
        redundancy=len(target) - len(solution),
    )


def source_weights(source: Source, operation: Operation) -> tuple[float, float]:
    """Standard deviations (metres) of a source's constant and of its mean error over a block.

    A survey has only a datum error: the errors of its pixels average out. A DSM contains canopy and roofs, and a coarse
    model has errors that are correlated over kilometres: both have about their stated accuracy, as a whole and per
    block, so a difference to a survey is attributed to them.
    """
    if source.surface is Surface.DSM or source.accuracy_m > SURVEY_ACCURACY_M:
        local_m = max(source.accuracy_m, LEAST_DSM_M if source.surface is Surface.DSM else 0.0)
        return math.hypot(operation.accuracy_m, local_m), local_m
    return operation.accuracy_m, 0.0


def _rows(
    observations: Sequence[Observation], ids: Sequence[str], centres: Mapping[str, tuple[float, float]], width: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weighted equations: correction of B minus correction of A equals the difference A minus B."""
    design = np.zeros((len(observations), len(ids) * width))
    right = np.zeros(len(observations))
    for row, observation in enumerate(observations):
        weight = 1 / max(observation.sigma_m, LEAST_SIGMA_M)
        right[row] = weight * observation.difference_m
        for name, sign in ((observation.a, -1.0), (observation.b, 1.0)):
            east, north = centres[name]
            terms = (1.0, (observation.east_m - east) / 1000, (observation.north_m - north) / 1000)[:width]
            start = ids.index(name) * width
            design[row, start : start + width] = [sign * weight * term for term in terms]
    return design, right


def _priors(ids: Sequence[str], accuracies_m: Mapping[str, float], width: int) -> npt.NDArray[np.float64]:
    priors = []
    for name in ids:
        priors.append(1 / max(accuracies_m[name], LEAST_SIGMA_M))
        priors += [1 / PLANE_SIGMA_PER_KM] * (width - 1)
    return np.array(priors)


def _centre(name: str, observations: Sequence[Observation]) -> tuple[float, float]:
    places = [(o.east_m, o.north_m) for o in observations if name in (o.a, o.b)]
    east, north = np.mean(np.array(places), axis=0)
    return round(float(east), 1), round(float(north), 1)


def _adjustment(terms: npt.NDArray[np.float64], variance: float, centre: tuple[float, float]) -> Adjustment:
    slopes = [float(term) for term in terms[1:]] or [0.0, 0.0]
    return Adjustment(
        constant_m=float(terms[0]),
        east_m_per_km=slopes[0],
        north_m_per_km=slopes[1],
        centre_east_m=centre[0],
        centre_north_m=centre[1],
        sigma_m=math.sqrt(variance),
    )


def _rms(differences_m: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.average(differences_m**2, weights=weights**2)))
