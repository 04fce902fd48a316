"""One source of a tile, shifted, aligned and upsampled, read by window."""

from __future__ import annotations

import math
from collections.abc import Mapping as MappingABC
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.bare_earth.canopy_error import CanopyReader
from orograph.pipeline.bare_earth.reader import GroundReader, stacked
from orograph.pipeline.core.grid import PixelWindow
from orograph.pipeline.core.pixel_size import row_bands
from orograph.pipeline.core.raster import BoolArray, FloatArray, HeightPatch
from orograph.pipeline.core.weights_uri import Read
from orograph.pipeline.errors import SourceGridError
from orograph.pipeline.manifest import OperationRecord
from orograph.pipeline.resampling.node_grid import NodeMapping, Target, resample, window_needed
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.sources.reader import SourceGrid
from orograph.pipeline.sources.refs import HorizontalOperation, SourceRef
from orograph.pipeline.sources.sensor import SensorModel
from orograph.pipeline.superres import Resolver, resolver, takes_sensor
from orograph.pipeline.superres.interpolation_error import StatedError
from orograph.pipeline.superres.zoom import IN_PLACE, zoom_of
from orograph.pipeline.tile.errors import add_local_errors, local_reach_px, rounded
from orograph.pipeline.tile.seamless_reader import SeamlessReader
from orograph.pipeline.tile.stages.stage import Layer

_AVERAGING_SCALE: Final = 1.5
"""Kernel width from which a resampling averages pixels and its interpolation error is negligible."""


_SAME_PX: Final = 0.01
"""Pixels whose centres are closer than this share of a pixel are the same."""


MOST_NATIVE_PX: Final = 8_000_000
"""Source pixels held at once while sampling."""


@dataclass(frozen=True, slots=True, eq=False)
class SamplingPlan:
    """Resampling of a source for one target pixel size.

    Attributes:
        lattices: The source's lattices, averaged down where it is at least twice as fine as the target.
        zoom: Factor of super-resolution; 1 for none.
        scale: Width of the kernel in (zoomed) source pixels.
        upscale: Resolver that zooms.
    """

    lattices: tuple[SourceGrid, ...]
    zoom: int
    scale: float
    upscale: Resolver | None

    @property
    def resolver(self) -> Resolver | None:
        """The resolver that changes heights, without the wrapper that adds a stated error."""
        if not isinstance(self.upscale, StatedError):
            return self.upscale
        return self.upscale.up if self.zoom > 1 else None

    @classmethod
    def of(
        cls,
        lattices: Sequence[SourceGrid],
        resolution_m: float,
        pixel_size_m: float,
        superres: str,
        multiple: int = 1,
        *,
        fetch: Read | None = None,
        stated: SensorModel | None = None,
        **options: Any,
    ) -> SamplingPlan:
        """The plan for a target pixel size; `superres` names a resolver, which takes the options, or is `none`.

        The number of pixels averaged along each axis is a multiple of `multiple`. A source with a sensor model is
        filtered on its own grid where it is about as fine as the target; with `stated`, its noise there is at least
        part of the error.
        """
        zoom = zoom_of(resolution_m, pixel_size_m) if superres != "none" else 1
        factor = 1 if zoom > 1 else max(1, int(pixel_size_m / resolution_m))
        factor -= factor % multiple if factor > multiple else 0
        fine_m = resolution_m * factor / zoom
        native = factor == 1 and (options.get("sensor") or stated) is not None
        return cls(
            tuple(replace(lattice, factor=factor) for lattice in lattices),
            zoom,
            max(1.0, pixel_size_m / fine_m),
            _resolver_for(zoom, superres, fetch, options, stated) if zoom > 1 or native else None,
        )


@dataclass(slots=True)
class PreparedSource:
    """One source of a tile with everything needed to resample it to a window.

    Attributes:
        index: Number in the tile's source index, from 1.
        mapping: Target to source coordinates, including shift and vertical delta.
        delta_m: Vertical operation at the mapping's nodes.
        sigma_m: Standard deviation from source, datum, alignment and lossy storage, metres.
        ground: Reads the DTM below a DSM; None for DTMs or if bare earth is off.
        canopy: Reads a DSM without bare earth and adds the error of its canopy; None for DTMs and without a land-cover
            map.
        horizontal_m: Standard deviation of positions along each axis, metres; multiplied by the slope.
    """

    index: int
    ref: SourceRef
    reader: SeamlessReader
    plan: SamplingPlan
    mapping: NodeMapping
    delta_m: npt.NDArray[np.float64]
    operation: OperationRecord
    sigma_m: float
    ground: GroundReader | None = None
    canopy: CanopyReader | None = None
    horizontal_m: float = 0.0

    def shift(
        self,
        shift_m: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike],
        error_m: float = 0.0,
        horizontal_error_m: float = 0.0,
    ) -> None:
        """Add a displacement (east, north, up; numbers or node arrays, metres) to the mapping.

        The standard deviations of its vertical part, and of its horizontal part along each axis, are added to those of
        every height.
        """
        self.mapping = NodeMapping.build(self.mapping.nodes, pinned(self.ref), self.delta_m, shift_m)
        self.sigma_m = math.hypot(self.sigma_m, error_m)
        self.horizontal_m = math.hypot(self.horizontal_m, horizontal_error_m)

    def layer(self, target: Target) -> Layer | None:
        """Return the source on a target window; None if it has no heights there."""
        size_m, plan = target.pixel_size_m, self.plan
        resampled = plan.upscale is None and plan.scale < _AVERAGING_SCALE and not self._coincides(size_m)
        reach = local_reach_px(resampled, self.horizontal_m)
        wider = target.grown(reach)
        found = self._sampled(plan, wider)
        if found is None:
            return None
        averaged = self.ref.thinning is Thinning.AVERAGED or plan.lattices[0].factor > 1
        sigma = add_local_errors(
            found.heights_m,
            _combined(self.sigma_m, found.sigma_m),
            wider,
            averaged if resampled else None,
            self.horizontal_m,
        )
        core = slice(reach, reach + target.rows), slice(reach, reach + target.cols)
        heights, lowered = np.ascontiguousarray(found.heights_m[core]), found.lowered
        if np.isnan(heights).all():
            return None
        return Layer(
            self.index,
            heights,
            rounded(sigma[core] if isinstance(sigma, np.ndarray) else sigma),
            None if lowered is None else np.ascontiguousarray(lowered[core]),
        )

    def sampled(self, target: Target) -> FloatArray | None:
        """Heights for estimation at any pixel size, without super-resolution, in bounded memory."""
        multiple = 1 if self.ground is None else self.ground.multiple
        plan = SamplingPlan.of(
            self.reader.lattices, self.ref.source.resolution_m, target.pixel_size_m, "none", multiple
        )
        across = max(1.0, target.pixel_size_m / self.ref.source.resolution_m)
        rows_at_once = max(16, int(MOST_NATIVE_PX / (target.cols * across * across)))
        out = np.full((target.rows, target.cols), np.nan, np.float32)
        for row in range(0, target.rows, rows_at_once):
            part = replace(target, row=target.row + row, rows=min(rows_at_once, target.rows - row))
            found = self._sampled(plan, part)
            if found is not None:
                out[row : row + part.rows] = found.heights_m
        return None if np.isnan(out).all() else out

    def outside(self, target: Target) -> BoolArray | None:
        """True where the source has a height but its vertical operation no value; None where it has one everywhere."""
        part = self.mapping.around(target)
        known = np.isfinite(part.delta_m)
        if known.all():
            return None
        plan = SamplingPlan.of(self.reader.lattices, self.ref.source.resolution_m, target.pixel_size_m, "none")
        plain = replace(self, ground=None, canopy=None)
        unmoved = replace(plain, mapping=replace(self.mapping, delta_m=np.zeros_like(self.mapping.delta_m)))
        found, moved = unmoved._sampled(plan, target), plain._sampled(plan, target)  # noqa: SLF001 - our own class
        if found is None:
            return None
        lost: BoolArray = np.isfinite(found.heights_m)
        return lost if moved is None else lost & ~np.isfinite(moved.heights_m)

    def bounds_m(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north of the nodes that fall into the source's files; None if none does."""
        inside = np.zeros(self.mapping.x.shape, bool)
        for lattice in self.reader.lattices:
            rows, cols = self.mapping.indices(lattice)
            top, left, bottom, right = lattice.index_bounds
            with np.errstate(invalid="ignore"):
                inside |= (rows >= top) & (rows < bottom) & (cols >= left) & (cols < right)
        inside &= np.isfinite(self.mapping.delta_m)
        if not inside.any():
            return None
        east, north = self.mapping.nodes.coordinates()
        spacing_m = self.mapping.nodes.spacing_m
        return (
            float(east[inside].min()) - spacing_m,
            float(north[inside].min()) - spacing_m,
            float(east[inside].max()) + spacing_m,
            float(north[inside].max()) + spacing_m,
        )

    def _coincides(self, pixel_size_m: float) -> bool:
        """Whether the pixels of source and target are the same, to a hundredth, at every node."""
        rows, cols = self.mapping.indices(self.plan.lattices[0])
        east, north = self.mapping.nodes.coordinates()
        return all(
            _whole_and_constant(apart)
            for apart in (cols + 0.5 - east / pixel_size_m, rows + 0.5 + north / pixel_size_m)
        )

    def _sampled(self, plan: SamplingPlan, target: Target) -> HeightPatch | None:
        patch: HeightPatch | None = None
        for lattice in plan.lattices:
            found = self._read_lattice(plan, lattice, target)
            if found is not None:
                patch = found if patch is None else _merged_below(patch, found)
        return None if patch is None or np.isnan(patch.heights_m).all() else patch

    def _read_lattice(self, plan: SamplingPlan, lattice: SourceGrid, target: Target) -> HeightPatch | None:
        part = self.mapping.around(target)
        indices = part.indices(lattice, plan.zoom)
        within = tuple(bound * plan.zoom for bound in lattice.index_bounds)
        if self.reader.is_divided:
            # Beyond its own files a grid contains the heights of the others.
            reach = math.ceil(2 * plan.scale) + 2 * plan.zoom
            within = (within[0] - reach, within[1] - reach, within[2] + reach, within[3] + reach)
        needed = window_needed(indices, plan.scale, within)
        if needed is None:
            return None
        if plan.upscale is not None:
            return self._upscaled(plan, lattice, target, part, needed)
        patch, own = self._read(lattice, needed), self._own(lattice, needed, 1)
        return self._warped(patch, needed, part, indices=indices, target=target, scale=plan.scale, own=own)

    def _warped(
        self,
        patch: HeightPatch,
        origin: PixelWindow,
        part: NodeMapping,
        *,
        indices: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
        target: Target,
        scale: float,
        own: BoolArray | None,
    ) -> HeightPatch | None:
        """A lattice window interpolated on the target; None where it is all void.

        `own` marks the window's pixels that the lattice's own files cover: only next to those the target gets heights.
        """
        if np.isnan(patch.heights_m).all():
            return None

        def warped(plane: FloatArray | None) -> FloatArray | None:
            if plane is None:
                return None
            made = resample(plane, origin, part, indices, target, scale, with_delta=False)
            return np.maximum(made, np.float32(0))

        heights = resample(patch.heights_m, origin, part, indices, target, scale)
        if own is not None:
            marks = np.where(own, np.float32(0), np.float32(np.nan))
            heights[np.isnan(resample(marks, origin, part, indices, target, 1.0, with_delta=False))] = np.nan
        return HeightPatch(heights, warped(patch.sigma_m), warped(patch.lowered))

    def _read(self, lattice: SourceGrid, window: PixelWindow) -> HeightPatch:
        """Return a lattice window of the source, or of the DTM below it if bare earth is on."""
        if self.canopy is not None and self.ground is None:
            return self.canopy.read(lattice, window)
        if self.ground is None:
            return HeightPatch(self.reader.read(lattice, window.row, window.col, window.height, window.width))
        return self.ground.read(lattice, window)

    def _upscaled(
        self, plan: SamplingPlan, lattice: SourceGrid, target: Target, part: NodeMapping, needed: PixelWindow
    ) -> HeightPatch | None:
        """Super-resolve the part of the lattice that is needed, then interpolate."""
        upscale, zoom = plan.upscale, plan.zoom
        if upscale is None:
            return None
        row0, col0 = needed.row // zoom, needed.col // zoom
        row1, col1 = -(-(needed.row + needed.height) // zoom), -(-(needed.col + needed.width) // zoom)
        source = self.ref.source
        bands = [
            self._upsampled(
                upscale, zoom, lattice, PixelWindow(band.row, col0, band.height, col1 - col0), band.pixel_size_m
            )
            for band in row_bands(lattice.affine, source.horizontal_crs, source.resolution_m, row0, row1 - row0)
        ]
        zoomed = stacked(bands)
        origin = PixelWindow(row0 * zoom, col0 * zoom, *zoomed.heights_m.shape)
        own, indices = self._own(lattice, origin, zoom), part.indices(lattice, zoom)
        return self._warped(zoomed, origin, part, indices=indices, target=target, scale=plan.scale, own=own)

    def _own(self, lattice: SourceGrid, window: PixelWindow, zoom: int) -> BoolArray | None:
        """Pixels of a (zoomed) lattice window that the lattice's own files cover; None if all are."""
        if not self.reader.is_divided:
            return None
        row, col = window.row // zoom, window.col // zoom
        rows, cols = -(-(window.row + window.height) // zoom) - row, -(-(window.col + window.width) // zoom) - col
        own = np.repeat(np.repeat(self.reader.own(lattice, row, col, rows, cols), zoom, axis=0), zoom, axis=1)
        top, left = window.row - row * zoom, window.col - col * zoom
        cut = own[top : top + window.height, left : left + window.width]
        return None if cut.all() else cut

    def _upsampled(
        self, upscale: Resolver, zoom: int, lattice: SourceGrid, window: PixelWindow, pixel_size_m: tuple[float, float]
    ) -> HeightPatch:
        """Return a lattice window upsampled by `zoom`; its pixels have one size in metres."""
        halo = upscale.halo_px
        row, col = window.row - halo, window.col - halo
        native = self._read(lattice, PixelWindow(row, col, window.height + 2 * halo, window.width + 2 * halo))
        if np.isnan(native.heights_m).all():
            return HeightPatch(np.full((window.height * zoom, window.width * zoom), np.nan, np.float32))
        fine, sigma = upscale(
            native.heights_m,
            factor=zoom,
            thinning=self.ref.thinning,
            origin_px=(row, col),
            pixel_size_m=pixel_size_m,
        )
        # The correction is as uncertain on the fine grid as on the coarse one.
        spread, lowered = _repeated(native.sigma_m, zoom), _repeated(native.lowered, zoom)
        if spread is not None:
            sigma = spread if sigma is None else np.hypot(sigma, spread)
        rim = halo * zoom

        def cut(plane: FloatArray) -> FloatArray:
            return np.ascontiguousarray(plane[rim : plane.shape[0] - rim, rim : plane.shape[1] - rim])

        return HeightPatch(cut(fine), None if sigma is None else cut(sigma), None if lowered is None else cut(lowered))


def pinned(ref: SourceRef) -> HorizontalOperation:
    """The horizontal operation that the planner chose.

    Raises:
        SourceGridError: the source has no such operation.
    """
    if ref.horizontal is None:
        raise SourceGridError(
            "no horizontal operation was pinned", source=ref.source.id, remedy="plan the job with orograph plan"
        )
    return ref.horizontal


def _resolver_for(
    zoom: int, superres: str, fetch: Read | None, options: MappingABC[str, Any], stated: SensorModel | None
) -> Resolver:
    """Return the requested resolver, or an interpolant if it was trained for another factor, with a stated error.

    The manifest records the resolver in use, not the requested one.
    """
    if takes_sensor(superres):
        return resolver(superres, fetch=fetch, **options)
    if zoom == 1:
        return StatedError(resolver("nearest"), stated)
    asked = resolver(superres, fetch=fetch, **options)
    return StatedError(asked if getattr(asked, "factor", zoom) == zoom else resolver(IN_PLACE), stated)


def _combined(sigma_m: float, model_sigma: FloatArray | None) -> FloatArray | float:
    return sigma_m if model_sigma is None else np.hypot(np.float32(sigma_m), model_sigma).astype(np.float32)


def _whole_and_constant(apart: npt.NDArray[np.float64]) -> bool:
    """Whether offsets in pixels are one whole number."""
    known = apart[np.isfinite(apart)]
    return known.size > 0 and bool(np.abs(known - np.rint(known[0])).max() < _SAME_PX)


def _merged_below(upper: HeightPatch, lower: HeightPatch) -> HeightPatch:
    """Both in one, the first where it has heights."""
    empty = np.isnan(upper.heights_m)

    def merged(above: FloatArray | None, below: FloatArray | None) -> FloatArray | None:
        if above is None and below is None:
            return None
        return np.where(empty, _or_zero(below), _or_zero(above)).astype(np.float32)

    return HeightPatch(
        np.where(empty, lower.heights_m, upper.heights_m),
        merged(upper.sigma_m, lower.sigma_m),
        merged(upper.lowered, lower.lowered),
    )


def _or_zero(plane: FloatArray | None) -> FloatArray | np.float32:
    return np.float32(0) if plane is None else plane


def _repeated(plane: FloatArray | None, zoom: int) -> FloatArray | None:
    return None if plane is None else np.repeat(np.repeat(plane, zoom, axis=0), zoom, axis=1)
