"""Searches residuals for plane waves and fits them; estimation part of `waves.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.coregistration.estimate import LEAST_SAMPLES, matrices, nmad, noise_scale
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.pair import Blocks, Pair
from orograph.pipeline.coregistration.waves import Wave, sampled_shape

Array = npt.NDArray[Any]

MOST_WAVES: Final = 8
MOST_NODES: Final = 2_000_000
"""Maximum number of nodes of a sampled field: shorter waves of large rasters are reported only."""
_PATCHES: Final = 150_000
_LEAST_PATCH_PX: Final = 3.0
_LEAST_PATCHES: Final = 16
_SIGNIFICANT: Final = 10.0
"""Minimum ratio of a peak to its neighbours of similar wavelength; noise alone reaches 7 once in a million
positions."""
_LEAST_SHARE: Final = 0.06
_LEAST_M: Final = 0.001
"""Smaller waves are rounding errors: rasters are float32."""
"""Minimum root mean square of a wave in heights, as a fraction of the residuals' NMAD."""
_SHORTEST_PATCHES: Final = 2.5
_LONGEST_SHARE: Final = 0.5
"""Wavelengths are searched from 2.5 patches up to half of the raster's shorter side."""
_RINGS: Final = 24
_ROUNDS: Final = 12
_MOMENTS: Final = 20
"""Degree of the polynomials that follow the phase of up to two periods over the raster."""
_SCALE_SAMPLE: Final = 15_000


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """Normal equations of small patches over a raster, and their positions.

    Attributes:
        a: (3, 3, rows, columns); b: (3, rows, columns), of east, north and up displacement.
        north_m, east_m: Places of rows and columns from the centre, metres.
        spread_m: NMAD of the residuals.
        pixel_m: Pixel of the raster; larger sideways waves are rejected.
    """

    a: Array
    b: Array
    north_m: Array
    east_m: Array
    spread_m: float
    pixel_m: float

    def transformed(self, values: Array, per_m: tuple[float, float]) -> Array:
        """Fourier transform of values (..., rows, columns) at one wave vector."""
        rows = np.exp(-2j * np.pi * per_m[1] * self.north_m)
        phase = 2.0 * np.pi * per_m[0] * self.east_m
        # Real factors: complex ones would make numpy copy all patches as complex numbers.
        summed = values @ np.stack([np.cos(phase), np.sin(phase)], axis=1)
        return (summed[..., 0] - 1j * summed[..., 1]) @ rows


def gather_patches(pair: Pair, field: DisplacementField) -> Patches | None:
    """Normal equations of patches of about three pixels, larger in large rasters; None if there are too few."""
    rows, cols = pair.reference.shape
    side = max(_LEAST_PATCH_PX, float(np.sqrt(rows * cols / _PATCHES)))
    if min(rows, cols) < _LEAST_PATCHES * side:
        return None
    blocks = Blocks.of((rows, cols), side)
    residual, slope = pair.residuals(field, _SCALE_SAMPLE)
    if residual.size < LEAST_SAMPLES:
        return None
    sums = pair.sums(field, blocks, noise_scale(residual, slope))
    a, b = matrices(sums)
    affine = pair.geobox.affine
    north = (0.5 - (np.arange(blocks.shape[0]) + 0.5) / blocks.shape[0]) * rows * abs(affine.e)
    east = ((np.arange(blocks.shape[1]) + 0.5) / blocks.shape[1] - 0.5) * cols * affine.a
    shape = blocks.shape
    return Patches(
        np.moveaxis(a.reshape(*shape, 3, 3), (2, 3), (0, 1)),
        np.moveaxis(b.reshape(*shape, 3), 2, 0),
        north,
        east,
        nmad(residual),
        pair.pixel_m,
    )


def _prior(patches: Patches) -> Array:
    """Information of the prior: sideways amplitudes of about a pixel; heights are unconstrained."""
    return np.diag([1.0 / patches.pixel_m**2, 1.0 / patches.pixel_m**2, 1e-12])


def strongest(patches: Patches) -> tuple[float, float] | None:
    """The wave vector (cycles per metre) that explains most compared with similar ones; None without a peak."""
    total = patches.a.sum(axis=(2, 3)) + _prior(patches)
    inverse = np.linalg.inv(total)
    transform = np.fft.rfft2(patches.b)
    gain = 2.0 * np.einsum("ikl,ij,jkl->kl", transform.conj(), inverse, transform).real
    step_n, step_e = abs(patches.north_m[1] - patches.north_m[0]), abs(patches.east_m[1] - patches.east_m[0])
    # Rows run southwards, so a positive frequency along them is one towards the south.
    per_n = -np.fft.fftfreq(patches.b.shape[1], step_n)[:, None]
    per_e = np.fft.rfftfreq(patches.b.shape[2], step_e)[None, :]
    length = np.hypot(per_n, per_e)
    extent = min(step_n * patches.b.shape[1], step_e * patches.b.shape[2])
    allowed = (length >= 1.0 / (_LONGEST_SHARE * extent)) & (length <= 1.0 / (_SHORTEST_PATCHES * max(step_n, step_e)))
    if np.count_nonzero(allowed) < 100:
        return None
    ratio = np.where(allowed, gain / _background(gain, length, allowed), 0.0)
    significant = ratio >= _SIGNIFICANT
    if not significant.any():
        return None
    # Choose the wave that explains most, not the clearest: a mask with regular gaps mirrors a wave to others that
    # explain less.
    place = np.unravel_index(int(np.argmax(np.where(significant, gain, 0.0))), gain.shape)
    return _refined(patches, inverse, (float(per_e[0, place[1]]), float(per_n[place[0], 0])))


def _background(gain: Array, length: Array, allowed: Array) -> Array:
    """Expected mean gain at each frequency, from medians over rings of similar wavelength."""
    low, high = np.log(length[allowed].min()), np.log(length[allowed].max())
    ring = np.clip((np.log(np.maximum(length, 1e-30)) - low) / (high - low + 1e-9) * _RINGS, 0, _RINGS - 1).astype(int)
    levels = np.full(_RINGS, np.nan)
    for k in range(_RINGS):
        values = gain[allowed & (ring == k)]
        if values.size >= 8:
            # The median of a chi-squared variable of six degrees of freedom is 0.891 of its mean.
            levels[k] = np.median(values) / 0.891
    known = np.flatnonzero(np.isfinite(levels))
    return np.maximum(np.interp(np.arange(_RINGS), known, levels[known])[ring], 1e-12)


def _refined(patches: Patches, inverse: Array, start: tuple[float, float]) -> tuple[float, float]:
    """The wave vector between the frequencies of the transform where the gain is largest."""
    # Scipy's optimisers take a third of a second to import, and most pairs have no wave.
    from scipy.optimize import minimize

    transformed, extent = _near(patches, start)

    def loss(offset: Array) -> float:
        value = transformed(offset)
        return -float((value.conj() @ inverse @ value).real)

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3, "maxiter": 120})
    offset = best.x if np.abs(best.x).max() <= 1.0 else np.zeros(2)
    return float(start[0] + offset[0] / extent[0]), float(start[1] + offset[1] / extent[1])


def _near(patches: Patches, start: tuple[float, float]) -> tuple[Callable[[Array], Array], Array]:
    """The transform of `b` near a wave vector, by offsets in periods over the raster, and the raster's extent (metres).

    Within a few periods the offset's phase is a polynomial to double precision, so that moments are summed
    once instead of all patches for every wave vector.
    """
    places = (patches.east_m, patches.north_m)
    extent = np.array([np.ptp(place) for place in places])
    bases, waves = [], []
    for place, size, per_m in zip(places, extent, start, strict=True):
        basis = np.polynomial.legendre.legvander(2.0 * place / size, _MOMENTS)
        phase = 2.0 * np.pi * per_m * place
        bases.append(basis)
        waves.append(np.hstack([basis * np.cos(phase)[:, None], basis * np.sin(phase)[:, None]]))
    count = _MOMENTS + 1
    along = patches.b @ waves[0]
    along = along[..., :count] - 1j * along[..., count:]
    down = waves[1][:, :count] - 1j * waves[1][:, count:]
    moments = np.einsum("rp,irq->ipq", down, along, optimize=True)
    fitted = [np.linalg.pinv(basis) for basis in bases]

    def transformed(offset: Array) -> Array:
        cols, rows = (
            fit @ np.exp(-2j * np.pi * part / size * place)
            for fit, part, size, place in zip(fitted, offset, extent, places, strict=True)
        )
        return (moments @ cols) @ rows

    return transformed, extent


def fit_wave(patches: Patches, per_m: tuple[float, float]) -> Wave:
    """Amplitudes of a wave of a given vector, by least squares over all patches."""
    total, twice = patches.a.sum(axis=(2, 3)), patches.transformed(patches.a, (2 * per_m[0], 2 * per_m[1]))
    value = patches.transformed(patches.b, per_m)
    normal = np.block(
        [
            [0.5 * (total + twice.real), -0.5 * twice.imag],
            [-0.5 * twice.imag, 0.5 * (total - twice.real)],
        ]
    )
    prior = _prior(patches)
    normal[:3, :3] += prior
    normal[3:, 3:] += prior
    solution = np.linalg.solve(normal, np.concatenate([value.real, -value.imag]))
    cosine, sine = (tuple(float(v) for v in part) for part in (solution[:3], solution[3:]))
    return Wave(per_m, cosine, sine)  # type: ignore[arg-type]


def in_heights_m(patches: Patches, wave: Wave) -> float:
    """Root mean square effect of a wave on heights, metres: horizontal displacements are multiplied by the slopes."""
    a = patches.a.sum(axis=(2, 3)) / max(float(patches.a[2, 2].sum()), 1e-300)
    return float(np.sqrt(sum(0.5 * np.array(part) @ a @ np.array(part) for part in (wave.cosine, wave.sine))))


def find_wave(pair: Pair, field: DisplacementField) -> Wave | None:
    """The most prominent wave in the residuals under a field; None without a notable one."""
    patches = gather_patches(pair, field)
    if patches is None:
        return None
    per_m = strongest(patches)
    if per_m is None:
        return None
    wave = fit_wave(patches, per_m)
    heights_m = in_heights_m(patches, wave)
    return wave if heights_m >= max(_LEAST_SHARE * patches.spread_m, _LEAST_M) else None


def with_waves(pair: Pair, field: DisplacementField) -> tuple[DisplacementField, Wave | None]:
    """Add all prominent waves to the field, strongest first; also return one that is too short or too many to add.

    Each wave is fitted to the residuals of the others; a vector found again improves its wave.
    """
    extent = tuple(
        size * abs(part)
        for size, part in zip(pair.reference.shape, (pair.geobox.affine.e, pair.geobox.affine.a), strict=True)
    )
    for _ in range(_ROUNDS):
        wave = find_wave(pair, field)
        if wave is None:
            return polished(pair, field), None
        waves = _joined(field.waves, wave, (extent[1], extent[0]))
        rows, cols = sampled_shape(waves, (extent[0], extent[1]), (field.lattice.shape[1], field.lattice.shape[2]))
        if len(waves) > MOST_WAVES or rows * cols > MOST_NODES:
            return field, wave
        before = np.abs(pair.residuals(field)[0])
        tried = field.with_waves(waves)
        after = np.abs(pair.residuals(tried)[0])
        if after.size < LEAST_SAMPLES or np.median(after) > np.median(before):
            return field, wave
        field = tried
    return field, find_wave(pair, field)


def polished(pair: Pair, field: DisplacementField) -> DisplacementField:
    """Fit the amplitudes of all waves again to the field's residuals, with the current robust weights."""
    for number in range(len(field.waves)):
        patches = gather_patches(pair, field)
        if patches is None:
            return field
        old = field.waves[number]
        more = fit_wave(patches, old.per_m)
        cosine, sine = (
            tuple(c + d for c, d in zip(*parts, strict=True))
            for parts in ((old.cosine, more.cosine), (old.sine, more.sine))
        )
        wave = Wave(old.per_m, cosine, sine)  # type: ignore[arg-type]
        field = field.with_waves((*field.waves[:number], wave, *field.waves[number + 1 :]))
    return field


def _joined(waves: tuple[Wave, ...], new: Wave, extent_m: tuple[float, float]) -> tuple[Wave, ...]:
    """Append a wave; a vector that the raster cannot resolve from another is added to that one."""
    for number, old in enumerate(waves):
        for sign in (1.0, -1.0):
            apart = [(sign * n - o) * size for n, o, size in zip(new.per_m, old.per_m, extent_m, strict=True)]
            if max(abs(part) for part in apart) < 0.25:
                cosine = tuple(c + d for c, d in zip(old.cosine, new.cosine, strict=True))
                sine = tuple(s + sign * d for s, d in zip(old.sine, new.sine, strict=True))
                return (*waves[:number], Wave(old.per_m, cosine, sine), *waves[number + 1 :])  # type: ignore[arg-type]
    return (*waves, new)
