"""Evaluates a bare-earth model and tunes the thresholds that leave open terrain unchanged."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Final

import numpy as np

from orograph.pipeline.bare_earth.model import Operating, SurfaceModel
from orograph.pipeline.bare_earth.remove import (
    THRESHOLD_M,
    BareEarth,
    bare_earth,
    ground_of,
    partly_lowered,
    takes_land_cover,
)
from orograph.pipeline.errors import NoTrainingPixels
from orograph.pipeline.implicit.fill import fill_voids
from orograph.pipeline.learning.bare_earth.metrics import GroundMetrics
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite

_SQUARE_PX: Final = 256
_PROBABILITIES: Final = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.999)
_ONE_SIGMA: Final = 0.6827
_BANDS: Final = {"within_68": 1.0, "within_95": 1.96}


def judged(
    site: SurfaceSite, model: str, probability: float | None = None, smooth: bool = True
) -> dict[str, dict[str, float]]:
    """Errors of a site by method: no correction, the morphological filter, the model without and with land cover.

    On bare-earth sites canopy and buildings are simulated, the same at every call. The figures include the fraction of
    corrected pixels whose error is within the 68 % and the 95 % band.
    """
    surface, ground, shares = _measured(site)
    methods: dict[str, Callable[[], BareEarth]] = {
        "opening": lambda: bare_earth(surface, site.pixel_size_m, "opening"),
        "network": lambda: bare_earth(surface, site.pixel_size_m, model, probability=probability, smooth=smooth),
    }
    if shares is not None and takes_land_cover(model):
        methods["network with land cover"] = lambda: bare_earth(
            surface, site.pixel_size_m, model, probability=probability, smooth=smooth, shares=shares
        )
    figures = {"nothing": _figures(surface, ground, surface)}
    for name, method in methods.items():
        result = method()
        error = np.abs(result.heights_m - ground)[result.mask]
        sigma = result.sigma_m[result.mask]
        figures[name] = _figures(result.heights_m, ground, surface)
        known = np.isfinite(error)
        if known.any():
            figures[name] |= {k: round(float((error <= f * sigma)[known].mean()), 3) for k, f in _BANDS.items()}
    return figures


def tuned(model: SurfaceModel, sites: Sequence[SurfaceSite], most_m: float, most_mapped_m: float) -> Operating:
    """The lowest thresholds at which open terrain loses at most a given height at any site, and the spread's factor.

    Args:
        model: A trained model; its own thresholds are ignored.
        sites: Measured places; those with land cover set the threshold used with a map.
        most_m: Allowed increase of the mean absolute error on open terrain, metres, without a land-cover map.
        most_mapped_m: The same with a map, which transfers better to unseen terrain.

    Raises:
        NoTrainingPixels: no site is measured, or the thresholds found leave no correction.
    """
    plain = replace(model, operating=Operating())
    places = [_measured(site) for site in sites if site.measured]
    if not places:
        raise NoTrainingPixels("no measured site to choose thresholds on")
    size = sites[0].pixel_size_m
    lowest = _lowest(plain, [(s, g, None) for s, g, _ in places], size, most_m)
    mapped = [place for place in places if place[2] is not None] if model.spec.cover else []
    lowest_mapped = _lowest(plain, mapped, size, most_mapped_m) if mapped else lowest
    ratios = []
    for surface, ground, shares in places:
        result = _result(plain, surface, size, lowest if shares is None else lowest_mapped, shares)
        above = surface - ground
        known = result.mask & np.isfinite(ground) & (above > THRESHOLD_M)
        ratios.append((np.abs(result.heights_m - ground) / np.maximum(result.sigma_m, 1e-6))[known])
    joined = np.concatenate(ratios)
    if not joined.size:
        raise NoTrainingPixels("the thresholds that leave open terrain unchanged leave no correction")
    return Operating(lowest, lowest_mapped, round(float(np.quantile(joined, _ONE_SIGMA)), 3))


def _lowest(
    model: SurfaceModel,
    places: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray | None]],
    pixel_size_m: float,
    most_m: float,
) -> float:
    for probability in _PROBABILITIES:
        losses = []
        for surface, ground, shares in places:
            heights = _result(model, surface, pixel_size_m, probability, shares).heights_m
            after, before = (GroundMetrics.between(z, ground, surface).open_mae_m for z in (heights, surface))
            losses.append(after - before)
        if np.nanmax(losses) <= most_m:
            return probability
    return _PROBABILITIES[-1]


def _result(
    model: SurfaceModel, surface_m: np.ndarray, pixel_size_m: float, probability: float, shares: np.ndarray | None
) -> BareEarth:
    void = np.isnan(surface_m)
    filled = fill_voids(surface_m) if void.any() else surface_m
    ground, sigma, lowered = ground_of(model, filled, pixel_size_m, probability=probability, shares=shares)
    return partly_lowered(surface_m, ground, sigma, np.where(void, np.float32(0), lowered))


def _measured(site: SurfaceSite) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """DSM, terrain and land cover of a site; a simulated square if there is no measurement."""
    if site.surface_m is not None:
        return (
            np.where(np.isfinite(site.ground_m), site.surface_m, np.nan).astype(np.float32),
            site.ground_m,
            site.shares,
        )
    limit = _SQUARE_PX if site.pool is None else site.pool.size_px
    size = min(limit, min(site.ground_m.shape) // 8 * 8)
    square = site.draw(size, np.random.default_rng(zlib.crc32(site.name.encode())))
    return square.surface_m, (square.surface_m - square.above_m).astype(np.float32), square.shares


def _figures(estimate_m: np.ndarray, ground_m: np.ndarray, surface_m: np.ndarray) -> dict[str, float]:
    """Errors by class of terrain; classes without pixels are excluded."""
    figures = asdict(GroundMetrics.between(estimate_m, ground_m, surface_m))
    return {name: round(value, 3) for name, value in figures.items() if np.isfinite(value)}
