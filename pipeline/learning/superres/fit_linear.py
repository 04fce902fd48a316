"""Fits the best linear upsampling filter by least squares."""

from __future__ import annotations

from collections.abc import Iterable

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.dataset import Mix, Sampler
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.best_linear import _SEED, LinearFilter
from orograph.pipeline.superres.linear_fit import LinearFit


def accumulated(sampler: Sampler, thinning: Thinning, draws: int = 400) -> LinearFit:
    """The normal equations over noise-free patches with square pixels and no void, of a sampler's sites."""
    mix = Mix(averaged=float(thinning is Thinning.AVERAGED), noisy=0.0, wide=0.0)
    clean = Sampler(sampler.sites, sampler.factor, sampler.patch_px, sampler.batch, mix, _SEED)
    fit = LinearFit(sampler.factor)
    for step in range(draws):
        batch = clean.draw(step)
        if batch.condition.log_aspect != 0.0:
            continue
        for coarse, fine, valid in zip(batch.coarse[:, 0], batch.fine[:, 0], batch.valid[:, 0], strict=True):
            if valid.all():
                fit.add(coarse, fine)
    return fit


def modes_of(factor: int) -> tuple[Thinning, ...]:
    """Valid thinning modes at a factor; decimation by an even factor would shift the grid."""
    return tuple(mode for mode in Thinning if factor % 2 or mode is Thinning.AVERAGED)


def fit_linear(sampler: Sampler, draws: int = 400) -> LinearFilter:
    """The best linear filters on a sampler's sites, for every mode the factor allows."""
    return LinearFilter(
        sampler.factor,
        {mode: accumulated(sampler, mode, draws).kernels(mode) for mode in modes_of(sampler.factor)},
    )


def fit_on_pairs(pairs: Iterable[tuple[FloatArray, FloatArray]], factor: int, thinning: Thinning) -> LinearFilter:
    """Fit the best linear filter on pairs of coarse and fine heights; voids are ignored.

    Raises:
        ConfigError: Every neighbourhood contains a void, so no samples remain for the fit.
    """
    fit = LinearFit(factor)
    for coarse, fine in pairs:
        fit.add(coarse, fine)
    if fit.empty:
        raise ConfigError("no neighbourhood without a void to fit the linear filter on", remedy="give larger DTMs")
    return LinearFilter(factor, {thinning: fit.kernels(thinning)})
