"""Fits one of four representations to a raster with a given number of parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from odc.geo.geobox import GeoBox

from orograph.pipeline.errors import ConfigError, NoTrainingPixels, SourceGridError
from orograph.pipeline.implicit.coding import sparsify
from orograph.pipeline.implicit.fields import Field
from orograph.pipeline.implicit.fill import fill_voids
from orograph.pipeline.implicit.lattice import LatticeShape, check_heights, fit_lattice, pixel_centres
from orograph.pipeline.implicit.model import ImplicitModel
from orograph.pipeline.implicit.payload import (
    Payload,
    decode,
    encode_adaptive,
    encode_lattice,
    encode_network,
    encode_sum,
)
from orograph.pipeline.implicit.seams import SharedFrame, halo_needed, shared_frame
from orograph.pipeline.implicit.splines import Float64Array
from orograph.pipeline.implicit.wavelets import Axis, analyse

# Pixels per mesh of the finest lattice: a mesh finer than the terrain's detail costs time and gains nothing.
_FINE_SPACING_PX: Final = 1.6
_FINEST_SPACING_PX: Final = 1.0
_DENSE_RATIO: Final = 0.28
_MAX_LEVELS: Final = 5


class Kind(StrEnum):
    """The representations."""

    ADAPTIVE = "adaptive"
    """A hierarchy of lattices of which only the most important coefficients are kept."""
    LATTICE = "lattice"
    """One uniform lattice."""
    MLP = "mlp"
    """A network of random Fourier features."""
    LATTICE_RESIDUAL = "lattice+residual"
    """A uniform lattice and a small network for its residuals."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Options of a fit.

    Attributes:
        kind: The representation.
        parameters: Maximum number of stored parameters.
        step_m: Rounding of a uniform lattice and of shared borders, metres; the same for all tiles that must join.
        fineness: Smallest kept coefficient of an adaptive lattice over its rounding step.
        residual_share: Fraction of the parameters for the network of `lattice+residual`.
        steps, scale, seed, frames: Options of the network.
    """

    kind: Kind = Kind.ADAPTIVE
    parameters: int = 15_625
    step_m: float = 0.25
    fineness: float = 2.0
    residual_share: float = 0.25
    steps: int = 2000
    scale: float = 10.0
    seed: int = 0
    frames: int = 0

    def __post_init__(self) -> None:
        if self.parameters < 64:
            raise ConfigError(f"{self.parameters} parameters are too few to fit a terrain", remedy="allow at least 64")
        if not (self.step_m > 0 and self.fineness > 0 and 0 < self.residual_share < 1):
            raise ConfigError(
                f"invalid fit options: {self}", remedy="step and fineness must be positive, the share below one"
            )


FrameSink = Callable[[int, Field], None]
"""Receives the progress of the fit (steps or coefficients) and the current surface."""


def fit_model(
    heights_m: np.ndarray,
    geobox: GeoBox,
    options: FitOptions | None = None,
    *,
    weights: np.ndarray | None = None,
    halo_px: int = 0,
    source: str = "",
    frame: str = "",
    on_frame: FrameSink | None = None,
) -> ImplicitModel:
    """Fit a continuous terrain to a raster.

    Args:
        heights_m: (rows, columns) of `geobox` widened by `halo_px` on every side, metres; NaN is void.
        geobox: The tile's own grid, north up.
        options: Representation and size.
        weights: Of the same shape as `heights_m`, non-negative; larger values give a more exact fit.
        halo_px: Pixels of surroundings, used to fit borders that neighbours share bit for bit. Lattices only; 0 fits
            the tile alone.
        source: Name of the source, recorded in the model.
        frame: Vertical frame of the heights, recorded in the model.
        on_frame: Receives intermediate surfaces.

    Raises:
        NoTrainingPixels: no pixel with a height and a positive weight.
        HeightsNotFinite: infinite heights or weights.
        SourceGridError: heights and grid of different shapes, no CRS, a rotated grid.
        ConfigError: shared borders for a network, or too few parameters.
    """
    options = options or FitOptions()
    expected = tuple(size + 2 * halo_px for size in geobox.shape)
    if heights_m.shape != expected:
        raise SourceGridError(f"heights of shape {heights_m.shape} on a grid of {expected}, halo included")
    inner = slice(halo_px, -halo_px or None)
    tile = heights_m[inner, inner]
    inner_weights = None if weights is None else weights[inner, inner]
    surroundings = heights_m if halo_px else None
    ground = tile if options.kind is Kind.MLP else _bridged(tile)
    payload = _FITTERS[options.kind](_TileFit(ground, options, inner_weights, surroundings, halo_px, on_frame))
    return ImplicitModel.of_payload(payload, tile, geobox, source=source, frame=frame)


def _bridged(heights_m: np.ndarray) -> np.ndarray:
    """Fill voids first: a lattice fitted around them would oscillate in them."""
    check_heights(heights_m)
    void = np.isnan(heights_m)
    if void.all():
        raise NoTrainingPixels("no pixel to fit: every height is void")
    return fill_voids(heights_m) if void.any() else heights_m


def halo_px_needed(shape: tuple[int, int], options: FitOptions) -> int:
    """Pixels of surroundings needed for shared borders."""
    if options.kind is Kind.ADAPTIVE:
        rows, cols = (axis.intervals for axis in adaptive_axes(shape, options.parameters))
    else:
        lattice = LatticeShape.for_parameters(options.parameters, shape)
        rows, cols = lattice.rows, lattice.cols
    return max(halo_needed(shape[0], rows), halo_needed(shape[1], cols))


@dataclass(frozen=True, slots=True, eq=False)
class _TileFit:
    heights_m: np.ndarray
    options: FitOptions
    weights: np.ndarray | None
    surroundings_m: np.ndarray | None
    halo_px: int
    on_frame: FrameSink | None

    def border(self, shape: LatticeShape, along: int) -> SharedFrame | None:
        if self.surroundings_m is None:
            return None
        return shared_frame(self.surroundings_m, self.halo_px, shape, self.options.step_m * along**2, along)


def adaptive_axes(shape: tuple[int, int], parameters: int) -> tuple[Axis, Axis]:
    """The hierarchy for a raster: doubled until a mesh is about 1.6 pixels, or one when nearly all are kept."""
    dense = parameters > _DENSE_RATIO * shape[0] * shape[1]
    spacing = _FINEST_SPACING_PX if dense else _FINE_SPACING_PX
    rows, cols = (_axis(count, spacing) for count in shape)
    return rows, cols


def _axis(pixels: int, spacing_px: float) -> Axis:
    wanted = max(2, round(pixels / spacing_px))
    levels = min(_MAX_LEVELS, max(1, int(np.log2(wanted / 4))) if wanted >= 8 else 1)
    return Axis(max(1, round(wanted / 2**levels)), levels)


def _fit_adaptive(task: _TileFit) -> Payload:
    rows, cols = adaptive_axes(task.heights_m.shape, task.options.parameters)
    shape = LatticeShape(rows.intervals, cols.intervals)
    hierarchy = analyse(fit_lattice(task.heights_m, shape, task.weights), rows, cols)
    border = task.border(shape, 2)
    keep = task.options.parameters - (border.parameters if border else 0)
    if keep < 16:
        raise ConfigError(
            f"the shared border alone takes {task.options.parameters - keep} of {task.options.parameters} parameters",
            remedy="allow more parameters, or fit without shared borders",
        )
    importance = None if task.weights is None else _importance(task.weights, rows, cols)
    if task.on_frame is not None and task.options.frames:
        for count in np.unique(np.geomspace(16, keep, task.options.frames).astype(int)):
            levels, step_m = sparsify(hierarchy, int(count), importance, task.options.fineness)
            arrays, spec = encode_adaptive(levels, (rows, cols), step_m)
            task.on_frame(int(count), decode(arrays, spec))
    levels, step_m = sparsify(hierarchy, keep, importance, task.options.fineness)
    return encode_adaptive(levels, (rows, cols), step_m, border)


def _importance(weights: np.ndarray, rows: Axis, cols: Axis) -> Float64Array:
    """Square root of the weight at the centre of each basis function."""
    at_row = np.minimum((rows.positions * weights.shape[0]).astype(int), weights.shape[0] - 1)
    at_col = np.minimum((cols.positions * weights.shape[1]).astype(int), weights.shape[1] - 1)
    floor = 1e-3 * float(weights.max())
    return np.asarray(np.sqrt(np.maximum(weights[np.ix_(at_row, at_col)], floor)))


def _fit_lattice(task: _TileFit) -> Payload:
    shape = LatticeShape.for_parameters(task.options.parameters, task.heights_m.shape)
    coefficients = fit_lattice(task.heights_m, shape, task.weights)
    payload = encode_lattice(coefficients, task.options.step_m, task.border(shape, 1))
    if task.on_frame is not None and task.options.frames:
        task.on_frame(shape.parameters, decode(*payload))
    return payload


def _fit_network(task: _TileFit) -> Payload:
    from orograph.pipeline.implicit.network import NetworkShape, Training, train_network

    _reject_border(task)
    options = task.options
    shape = NetworkShape.for_parameters(options.parameters, options.scale)
    training = Training(steps=options.steps, seed=options.seed, frames=options.frames)
    return encode_network(train_network(task.heights_m, shape, training, task.weights, task.on_frame))


def _fit_residual(task: _TileFit) -> Payload:
    """Train the network on the lattice's errors, sampled where they are large; drop it if it does not help."""
    from orograph.pipeline.implicit.network import NetworkShape, Training, train_network

    _reject_border(task)
    options = task.options
    shape = NetworkShape.for_parameters(int(options.parameters * options.residual_share), options.scale, layers=4)
    grid = LatticeShape.for_parameters(options.parameters - shape.parameters, task.heights_m.shape)
    base = encode_lattice(fit_lattice(task.heights_m, grid, task.weights), options.step_m)
    rows, cols = task.heights_m.shape
    v, u = pixel_centres(rows, 1), pixel_centres(cols, 1)
    missed = task.heights_m - decode(*base).grid(v, u)
    wanted = np.where(np.isfinite(missed), np.abs(missed), 0.0)
    wanted = wanted + float(wanted.mean()) + 1e-6
    if task.weights is not None:
        wanted = wanted * task.weights
    training = Training(steps=options.steps, seed=options.seed, frames=options.frames)
    residual = encode_network(train_network(missed, shape, training, wanted, task.on_frame))
    before, after = np.nanmean(missed**2), np.nanmean((missed - decode(*residual).grid(v, u)) ** 2)
    return encode_sum(base, residual) if after < before else base


def _reject_border(task: _TileFit) -> None:
    if task.surroundings_m is not None:
        raise ConfigError(
            f"{task.options.kind} cannot share borders with its neighbours", remedy="fit lattice or adaptive"
        )


_FITTERS: Final[dict[Kind, Callable[[Any], Payload]]] = {
    Kind.ADAPTIVE: _fit_adaptive,
    Kind.LATTICE: _fit_lattice,
    Kind.MLP: _fit_network,
    Kind.LATTICE_RESIDUAL: _fit_residual,
}
