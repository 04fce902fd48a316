"""A source's sensor model from its own spectra: needs no finer DTM, but the footprint is less certain.

Terrain spectra fall as a known power of frequency; a footprint lowers them, noise raises them. Windows of the source
are differenced (a Laplacian leaves planes out and whitens the terrain), tapered and transformed. The model's expected
spectrum of such a window is computed exactly from its covariance, leakage and aliasing included, and fitted by
Whittle's likelihood with one terrain amplitude per window.

Noise that grows with the relief and a narrower footprint can give nearly the same spectra. So the fit is made twice:
per window, and on the mean of all windows, where rough terrain has more weight. The footprint is the mean of both; half
of their difference is part of the standard error. The error is at least half of the range of footprints that fit the mean as well:
on real radar over mountains that range is all of 6 to 44 m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter, minimum_filter
from scipy.optimize import minimize
from scipy.signal import convolve2d

from orograph.pipeline.errors import InputError
from orograph.pipeline.learning.sensors.estimate import Parameters, SensorEstimate, jackknife
from orograph.pipeline.learning.sensors.grids import HeightGrid
from orograph.pipeline.superres.sensor.covariance import SPECTRAL_SLOPE, Array, Prior, matern

WINDOW_PX: Final = 32
LEAST_WINDOWS: Final = 16
_LAPLACIAN: Final = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
_RINGS: Final = np.array([1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 10.0, 12.0, 14.0, 16.5])
"""Rings of wave numbers per window, each in three sectors."""
_SLOPE_ERROR: Final = 0.2
"""Standard deviation of the spectral slope between terrains."""
_LEAST: Final = np.log([1.0, 1.0, 0.02, 0.02, 1.0])
_MOST: Final = np.log([120.0, 120.0, 30.0, 100.0, 40.0])
"""Bounds of the parameters; noise of a longer range looks like terrain."""
_STARTS: Final = (np.log([8.0, 8.0, 1.0, 3.0, 15.0]), np.log([25.0, 25.0, 1.5, 5.0, 20.0]))
_PROFILE_M: Final = np.array([6.0, 9.0, 13.0, 18.0, 25.0, 33.0, 44.0])
"""Footprints at which the other parameters are fitted again."""
_TOLERANCE: Final = 2e-3
"""Loss of mean log-likelihood that real terrain and noise, which are no power law and no Matern noise, make meaningless."""
_CAP: Final = 30.0
"""Largest power over its expectation that counts."""
_GROUPS: Final = 6


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """Mean power by ring and sector of windows.

    Attributes:
        power: Shape (windows, bins).
        slope: Mean squared slope by window.
        counts: Number of independent values per bin.
        sums: Weights that average a window's plane of powers over each bin, shape (bins, WINDOW_PX**2).
        pixel_size_m: Size of a pixel along columns and rows, metres.
        step_m: Rounding step of the heights.
    """

    power: Array
    slope: Array
    counts: Array
    sums: Array
    pixel_size_m: tuple[float, float]
    step_m: float

    @classmethod
    def of(cls, source: HeightGrid) -> Spectra:
        """Spectra of half-overlapping windows without voids and water.

        Raises:
            InputError: There are too few windows.
        """
        n, taper = WINDOW_PX, _taper()
        rough = convolve2d(source.heights_m, _LAPLACIAN, mode="same", boundary="symm")
        # Level patches of a few pixels are common where heights are rounded; lakes are large.
        sound = minimum_filter(source.valid.astype(np.uint8), size=3, mode="constant", cval=0)
        smooth = gaussian_filter(source.heights_m, 2.0)
        by_row, by_column = np.gradient(smooth, source.pixel_size_m[1], source.pixel_size_m[0])
        steep = np.square(by_row) + np.square(by_column)
        sums, counts = _bins()
        power, slope = [], []
        for row in range(1, source.heights_m.shape[0] - n, n // 2):
            for column in range(1, source.heights_m.shape[1] - n, n // 2):
                part = (slice(row, row + n), slice(column, column + n))
                if sound[part].mean() < 0.98:
                    continue
                power.append(sums @ np.square(np.abs(np.fft.fft2(rough[part] * taper))).ravel())
                slope.append(float((steep[part] * taper**2).sum() / np.square(taper).sum()))
        if len(power) < LEAST_WINDOWS:
            raise InputError(
                f"{len(power)} windows of {n} pixels are free of voids and water, at least {LEAST_WINDOWS} are needed",
                remedy="give a larger part of the source",
            )
        return cls(np.array(power), np.array(slope), counts, sums, source.pixel_size_m, source.step_m)

    def only(self, windows: Array) -> Spectra:
        """Select some of the windows."""
        return Spectra(self.power[windows], self.slope[windows], self.counts, self.sums, self.pixel_size_m, self.step_m)

    def mean(self) -> Spectra:
        """One mean spectrum."""
        return Spectra(
            self.power.mean(axis=0, keepdims=True),
            self.slope.mean(keepdims=True),
            self.counts,
            self.sums,
            self.pixel_size_m,
            self.step_m,
        )


def characterise_alone(source: HeightGrid) -> SensorEstimate:
    """Footprint and noise of a source from its own spectra, with standard errors."""
    spectra = Spectra.of(source)
    narrow = _Fit(spectra, SPECTRAL_SLOPE).best(_STARTS)
    wide = _Fit(spectra.mean(), SPECTRAL_SLOPE).best((narrow, *_STARTS))
    # Noise is read where the terrain is smooth, which single windows show and their mean hides.
    best = np.exp(np.where(np.arange(5) < 2, 0.5 * (narrow + wide), narrow))
    unlike = 0.5 * np.abs(np.exp(narrow) - np.exp(wide))
    tilted = [_Fit(spectra, SPECTRAL_SLOPE + by).best((narrow,)) for by in (-_SLOPE_ERROR, _SLOPE_ERROR)]
    by_slope = 0.5 * np.abs(np.exp(tilted[0]) - np.exp(tilted[1]))

    def without(groups: Sequence[Array]) -> Parameters:
        return _parameters(np.exp(_Fit(spectra.only(np.concatenate(groups)), SPECTRAL_SLOPE).best((narrow,))))

    by_place = jackknife(np.array_split(np.arange(spectra.slope.size), _GROUPS), without)
    errors = np.sqrt(np.square(unlike) + np.square(by_slope) + np.square(by_place))
    errors[:2] = np.maximum(errors[:2], _Fit(spectra.mean(), SPECTRAL_SLOPE).unresolved_m())
    return SensorEstimate(_parameters(best), _parameters(errors), spectra.slope.size, source.step_m)


def _parameters(values: Array) -> Parameters:
    return Parameters(*(float(value) for value in values))


def _taper() -> Array:
    line = np.hanning(WINDOW_PX + 2)[1:-1]
    return np.outer(line, line)


def _bins() -> tuple[Array, Array]:
    """Averaging weights by ring and sector, and the independent values behind each."""
    wave = np.fft.fftfreq(WINDOW_PX) * WINDOW_PX
    column, row = np.meshgrid(wave, wave)
    ring = np.digitize(np.hypot(column, row), _RINGS) - 1
    angle = np.abs(np.degrees(np.arctan2(row, column)))
    angle = np.minimum(angle, 180.0 - angle)
    sector = (angle > 30.0).astype(np.intp) + (angle > 60.0)
    inside = (ring >= 0) & (ring < _RINGS.size - 1)
    label = np.where(inside, ring * 3 + sector, -1).ravel()
    members = np.array([label == k for k in range(3 * (_RINGS.size - 1)) if (label == k).any()], np.float64)
    count = members.sum(axis=1)
    # Powers come in conjugate pairs, and the taper correlates neighbours.
    return members / count[:, None], count / 2.0 / 2.25


class _Fit:
    """Whittle's likelihood of a sensor's parameters, the terrain's amplitudes profiled out."""

    def __init__(self, spectra: Spectra, slope: float) -> None:
        self._spectra, self._prior = spectra, Prior.power_law(slope)
        n = WINDOW_PX
        self._lags = np.arange(-n - 1.0, n + 2.0)
        self._east: Array = self._lags[None, :] * spectra.pixel_size_m[0]
        self._south: Array = self._lags[:, None] * spectra.pixel_size_m[1]
        line = np.hanning(n + 2)[1:-1]
        overlap = np.correlate(line, line, "full")
        self._overlap = np.outer(overlap, overlap)
        self._filter = convolve2d(_LAPLACIAN, _LAPLACIAN)
        white = np.where((self._east == 0.0) & (self._south == 0.0), 1.0, 0.0)
        self._rounding = self._expected(white) * spectra.step_m**2 / 12.0

    def best(self, starts: Sequence[Array]) -> Array:
        """Logarithms of the parameters at the largest likelihood reached from the starts."""
        found = []
        for start in starts:
            simplex = np.vstack([start, *(start + 0.6 * axis for axis in np.eye(start.size))])
            found.append(
                minimize(
                    self._misfit,
                    start,
                    method="Nelder-Mead",
                    options={"maxiter": 600, "xatol": 0.01, "fatol": 1e-6, "initial_simplex": simplex},
                )
            )
        return np.clip(min(found, key=lambda one: float(one.fun)).x, _LEAST, _MOST)

    def unresolved_m(self) -> float:
        """Half of the range of round footprints that fit about as well as the best one, with noise and range fitted to each."""
        found = []
        for footprint in np.log(_PROFILE_M):
            both = [footprint, footprint]
            starts = (np.log([1.0, 3.0, 20.0]), np.log([1.0, 8.0, 25.0]))
            options = {"maxiter": 80, "xatol": 0.05, "fatol": 1e-5}
            fits = [
                minimize(lambda rest, both=both: self._misfit(np.concatenate([both, rest])), start,
                         method="Nelder-Mead", options=options).fun
                for start in starts
            ]  # fmt: skip
            found.append(min(fits))
        allowed = np.array(found) < min(found) + _TOLERANCE
        return 0.5 * float(np.ptp(_PROFILE_M[allowed])) if allowed.any() else 0.0

    def _misfit(self, logarithms: Array) -> float:
        across, along, level, per_slope, range_m = np.exp(np.clip(logarithms, _LEAST, _MOST))
        spectra = self._spectra
        terrain = self._expected(self._prior.covariance(self._east, self._south, (across, along), passes=2))
        noise = self._expected(matern(np.hypot(self._east, self._south), range_m))
        rest = (level**2 + per_slope**2 * spectra.slope)[:, None] * noise + self._rounding + 1e-9
        expected = np.exp(self._amplitudes(terrain, rest))[:, None] * terrain + rest
        terms = np.log(expected) + np.minimum(spectra.power / expected, _CAP)
        # Weak prior at usual values: parameters that the spectra do not constrain must not diverge.
        pull = 1e-4 * (np.square(logarithms[3] - np.log(3.0)) + np.square(logarithms[4] - np.log(20.0)))
        beyond = np.square(logarithms - np.clip(logarithms, _LEAST, _MOST)).sum()
        return float((spectra.counts * terms).mean() / spectra.counts.mean() + pull + beyond)

    def _amplitudes(self, terrain: Array, rest: Array) -> Array:
        """Logarithm of each window's most likely amplitude, by damped Newton steps."""
        spectra = self._spectra
        found = np.log(np.maximum(np.median(spectra.power / terrain, axis=1), 1e-3))
        for _ in range(12):
            own = np.exp(found)[:, None] * terrain
            share = own / (own + rest)
            pull = (spectra.counts * share * (1.0 - spectra.power / (own + rest))).sum(axis=1)
            curve = (spectra.counts * np.square(share)).sum(axis=1) + 1e-6
            found = np.clip(found - np.clip(pull / curve, -1.0, 1.0), -3.0, 20.0)
        return np.asarray(found)

    def _expected(self, covariance: Array) -> Array:
        """Expected power by bin of a tapered, differenced window of that covariance."""
        n = WINDOW_PX
        rough = convolve2d(covariance, self._filter, mode="valid") * self._overlap
        folded = np.zeros((n, n))
        lags = np.arange(-n + 1, n) % n
        np.add.at(folded, (lags[:, None], lags[None, :]), rough)
        return np.asarray(self._spectra.sums @ np.maximum(np.fft.fft2(folded).real, 1e-12).ravel())
