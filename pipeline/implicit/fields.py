"""Evaluates a model: height and derivatives at any point of the unit square.

`v` runs down the rows and `u` along the columns of the fitted extent, both 0 to 1 from its upper left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from orograph.pipeline.implicit.lattice import render
from orograph.pipeline.implicit.splines import DEGREE, Float64Array, evaluate, on_grid


@dataclass(frozen=True, slots=True, eq=False)
class Jet:
    """Height in metres and its derivatives with respect to `v` and `u`, metres per unit; arrays of one shape."""

    height: Float64Array
    dv: Float64Array
    du: Float64Array
    dvv: Float64Array
    dvu: Float64Array
    duu: Float64Array


class Field(Protocol):
    """A continuous surface over the unit square."""

    @property
    def kind(self) -> str:
        """Name of the representation."""

    @property
    def parameters(self) -> int:
        """Number of stored parameters."""

    def height(self, v: Float64Array, u: Float64Array) -> Float64Array:
        """Heights at scattered points."""

    def jet(self, v: Float64Array, u: Float64Array) -> Jet:
        """Heights and derivatives at scattered points."""

    def grid(self, v: Float64Array, u: Float64Array) -> Float64Array:
        """Heights on the product of two coordinate vectors, shape (len(v), len(u))."""


@dataclass(frozen=True, slots=True, eq=False)
class LatticeField:
    """A cubic B-spline lattice.

    Attributes:
        coefficients: (rows + 3, columns + 3), metres.
        kind: `lattice`, or `adaptive` when it was decoded from a sparse hierarchy.
        parameters: Number of stored parameters.
    """

    coefficients: Float64Array
    kind: str
    parameters: int

    @property
    def intervals(self) -> tuple[int, int]:
        """Intervals along rows and columns."""
        rows, cols = self.coefficients.shape
        return rows - DEGREE, cols - DEGREE

    def height(self, v: Float64Array, u: Float64Array) -> Float64Array:
        """Heights at scattered points; twice continuously differentiable."""
        rows, cols = self.intervals
        return evaluate(self.coefficients, v * rows, u * cols)

    def jet(self, v: Float64Array, u: Float64Array) -> Jet:
        """Heights and exact derivatives at scattered points."""
        rows, cols = self.intervals
        row, col = v * rows, u * cols
        orders = ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
        parts = [evaluate(self.coefficients, row, col, o) * (rows ** o[0] * cols ** o[1]) for o in orders]
        return Jet(*parts)

    def grid(self, v: Float64Array, u: Float64Array) -> Float64Array:
        """Heights on a grid, as the product of two sparse matrices."""
        rows, cols = self.intervals
        return on_grid(self.coefficients, v * rows, u * cols)

    def pixels(self, shape: tuple[int, int]) -> Float64Array:
        """Heights at the pixel centres of a raster over the whole extent."""
        return render(self.coefficients, shape)


@dataclass(frozen=True, slots=True, eq=False)
class SumField:
    """Sum of two surfaces: a lattice and the residual of a network."""

    base: Field
    residual: Field

    @property
    def kind(self) -> str:
        """The names of both."""
        return f"{self.base.kind}+residual"

    @property
    def parameters(self) -> int:
        """Sum of both."""
        return self.base.parameters + self.residual.parameters

    def height(self, v: Float64Array, u: Float64Array) -> Float64Array:
        """Heights at scattered points."""
        return self.base.height(v, u) + self.residual.height(v, u)

    def jet(self, v: Float64Array, u: Float64Array) -> Jet:
        """Heights and derivatives at scattered points."""
        a, b = self.base.jet(v, u), self.residual.jet(v, u)
        names = Jet.__dataclass_fields__
        return Jet(**{name: np.asarray(getattr(a, name) + getattr(b, name)) for name in names})

    def grid(self, v: Float64Array, u: Float64Array) -> Float64Array:
        """Heights on a grid."""
        return self.base.grid(v, u) + self.residual.grid(v, u)
