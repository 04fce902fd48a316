"""Single steps on arrays: vertical frames, coregistration, super-resolution, bare earth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from orograph.infra.api.arrays import Heights, known_frame, pixel_size_m, raster_array, to_array, to_raster
from orograph.infra.api.points import grids_folder
from orograph.infra.runs.model_weights import weights_reader
from orograph.pipeline.bare_earth.one_raster import TERRAIN_ACCURACY_M, Sight, bare_earth_of
from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.core.raster import BoolArray
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import Coregistration as Fitted
from orograph.pipeline.coregistration import fit
from orograph.pipeline.coregistration.prepare import in_crs_of, prepare_pair
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres import resolver, takes_options
from orograph.pipeline.vertical import VerticalCatalogue, delta_surface


def harmonise(
    heights: Heights,
    *,
    to: str,
    from_: str | None = None,
    epoch: float | None = None,
    via: str | None = None,
    grids_dir: str | Path | None = None,
) -> xr.DataArray:
    """Move a raster's heights to another vertical frame on its own grid; nothing is resampled.

    Args:
        heights: DataArray or path, see `to_raster`.
        to: Vertical frame wanted.
        from_: Vertical frame of the heights, where they do not declare it.
        epoch: Decimal year, for dynamic frames.
        via: A frame to pass through.
        grids_dir: Folder of geoid grids; `OROGRAPH_GRIDS_DIR` or its default when None.

    Returns:
        float32, dims (y, x), metres; NaN where the input is void. Attributes name the frame, operation and accuracy.

    Raises:
        VerticalFrameMissing: the frame of the heights is not known.
        OutsideAreaOfUse: a height is outside the operation's area of use.
        NoVerticalOperation, GridMissing: the heights cannot be transformed correctly.
        SourceGridError, NodataError: the raster does not contain heights.
    """
    raster = to_raster(heights, from_)
    operation = VerticalCatalogue.load().operation(
        known_frame(raster), to, grids_dir=grids_folder(grids_dir), epoch=epoch, via=via
    )
    surface = delta_surface(operation, raster.geobox, partial=False)
    moved = raster.heights_m.copy()
    surface.add_to(moved, raster.geobox)
    attributes = {
        "vertical_frame": operation.frame_to,
        "surface": raster.surface.value,
        "operation": operation.id,
        "operation_accuracy_m": operation.accuracy_m,
    }
    return to_array(moved, raster.geobox, attributes=attributes)


@dataclass(frozen=True, slots=True, eq=False)
class Coregistration:
    """Estimated displacement of one raster from another.

    Attributes:
        fitted: Displacement field, statistics and status.
        notes: Sentences that describe the steps taken to make the two comparable.
    """

    fitted: Fitted
    notes: tuple[str, ...]

    @property
    def converged(self) -> bool:
        """Whether the displacement is reliable; if it is not, `report["status"]` gives the reason."""
        return self.fitted.status.value == "converged"

    @property
    def shift_m(self) -> tuple[float, float, float]:
        """Mean displacement east, north and up, metres: reference(x) = raster(x - (east, north)) + up."""
        return self.fitted.shift

    @property
    def report(self) -> dict[str, Any]:
        """Method, status, shift, spread before and after, and notes; JSON-ready."""
        record = self.fitted.record("raster", "reference").model_dump(mode="json")
        return {**record, "notes": list(self.notes)}

    def apply(self, heights: Heights, *, like: Heights | None = None) -> xr.DataArray:
        """Heights moved onto the reference, in its CRS; interpolated once if they have that CRS already.

        Args:
            heights: DataArray or path; a raster in another CRS is warped to the reference's CRS first, as for the estimate.
            like: Raster whose grid the result takes; the grid of `heights` in the reference's CRS when None.

        Raises:
            SourceGridError: `like` has another CRS.
        """
        raster = in_crs_of(self.fitted.field.geobox, to_raster(heights), [])
        geobox = None if like is None else to_raster(like).geobox
        return raster_array(self.fitted.apply(raster, geobox, threads=0))


def coregister(
    reference: Heights,
    to_be_aligned: Heights,
    *,
    inliers: xr.DataArray | BoolArray | None = None,
    method: str = "nuth-kaab",
    max_shift_m: float | None = None,
    same_heights: bool = False,
    device: str | None = None,
) -> Coregistration:
    """Estimate the displacement of a raster from a reference.

    Args:
        reference: Heights that stay in place.
        to_be_aligned: Heights to move; a raster in another CRS is warped to the reference's CRS.
        inliers: True on terrain that did not change, on the reference's grid; everywhere when None.
        method: `vertical-shift`, `nuth-kaab`, `deramp(2)`, `affine`, a sum such as `nuth-kaab+deramp(1)`, or
            `blockwise(nuth-kaab)`.
        max_shift_m: Longer horizontal shifts are rejected; 60 pixels when None.
        same_heights: Accept heights without a declared vertical frame as comparable.
        device: A torch device such as `cuda`; the compiled kernels of the processor when None.

    Raises:
        ConfigError: unknown method.
        SourceGridError, VerticalError, NodataError: the two cannot be compared.
    """
    mask = None if inliers is None else np.asarray(inliers, np.bool_)
    pair = prepare_pair(to_raster(reference), to_raster(to_be_aligned), mask, same_heights=same_heights)
    fitted = fit(pair.reference, pair.moving, pair.inliers, method, max_shift_m, threads=0, device=device)
    return Coregistration(fitted, pair.notes)


def superresolve(
    heights: Heights,
    *,
    factor: int = 3,
    model: str = "superres-s",
    thinning: str = "decimated",
    **options: Any,
) -> xr.Dataset:
    """Divide every pixel into `factor` x `factor` finer ones.

    Args:
        heights: DataArray or path.
        factor: Fine pixels along a coarse pixel's side.
        model: An exact interpolant (`gdal-cubic`, `keys6`), `best-linear`, a bundled network (`superres-s`), or
            weights.
        thinning: `decimated` or `averaged`: how the raster was made from finer measurements.
        **options: Options of networks: `ensemble`, `gate`, `noise_m`, `precision`, `device`.

    Returns:
        `elevation` and, where the model estimates it, `standard_error`: float32, dims (y, x), metres, NaN void.

    Raises:
        ConfigError: no such model or option.
        PackageMissing: torch is not installed.
    """
    if options and not takes_options(model):
        raise ConfigError(f"{model} takes no options, given are {', '.join(sorted(options))}")
    raster = to_raster(heights)
    mode = Thinning(thinning)
    up = resolver(model, fetch=weights_reader(RunSettings.with_flags()), **options)
    size_m = pixel_size_m(raster.geobox)
    fine, sigma = up(raster.heights_m, factor=factor, thinning=mode, pixel_size_m=size_m, origin_px=(0, 0))
    geobox = raster.geobox.zoom_to(shape=fine.shape)
    attributes = dict(raster_array(raster).attrs) | {"model": model}
    return _dataset(geobox, attributes, elevation=fine, standard_error=sigma)


def bare_earth(
    heights: Heights,
    *,
    model: str = "auto",
    probability: float | None = None,
    land_cover: str | Path | None = None,
    terrain: Heights | None = None,
    terrain_accuracy_m: float = TERRAIN_ACCURACY_M,
    sensor: str | None = None,
    canopy_share: float | None = None,
    footprint_m: float | None = None,
    noise_m: float | None = None,
    grids_dir: str | Path | None = None,
    device: str = "cpu",
    precision: Precision = DEFAULT_PRECISION,
) -> xr.Dataset:
    """Remove canopy and buildings from a DSM.

    Args:
        heights: DataArray or path of a DSM.
        model: `auto` for what was shown to help at these pixels, a model's name, `opening`, `edges` or `fusion`. At 15 to
            60 m `auto` is `fusion` with a terrain model, else `edges` with a map; otherwise a bundled network.
        probability: Objects are removed where P(height above terrain > 2 m) exceeds this; None uses the model's default.
        land_cover: Map with the classes of ESA WorldCover, in any CRS; for `edges`, `fusion` and networks trained with it.
        terrain: Bare-earth terrain model such as GEDTM30, on any grid; for `fusion`.
        terrain_accuracy_m: Standard deviation of its heights, metres.
        sensor: Sensor model of the DSM, a bundled name such as `srtm` or a YAML file, for the next three values.
        canopy_share: Share of the canopy's height that the sensor measures; the sensor model's, else 1, when None.
        footprint_m: Standard deviation of its footprint, metres; the sensor model's, else 0.
        noise_m: Standard deviation of the DSM's noise, metres; the sensor model's, else 0.
        grids_dir: Folder of geoid grids, for a terrain model in another vertical frame; `OROGRAPH_GRIDS_DIR` or its
            default when None.
        device: Torch device of the network.
        precision: Of the network: `fp32`, or `tf32`, `bf16` or `fp16` where the device convolves in it.

    Returns:
        `elevation` and `standard_error` (float32, metres) and `lowered` (1 where something was removed), dims (y, x).

    Raises:
        ConfigError: no such model or sensor, no model for this pixel size, or a terrain model without `fusion`.
        VerticalError: the levels of DSM and terrain model cannot be compared.
        PackageMissing: torch is not installed.
    """
    raster = to_raster(heights)
    found, chosen = bare_earth_of(
        raster,
        pixel_size_m(raster.geobox),
        model=model,
        probability=probability,
        land_cover=None if land_cover is None else Path(land_cover),
        terrain=None if terrain is None else to_raster(terrain),
        terrain_accuracy_m=terrain_accuracy_m,
        sight=Sight.of(sensor, canopy_share, footprint_m, noise_m),
        grids_dir=grids_folder(grids_dir),
        device=device,
        precision=precision,
    )
    attributes = dict(raster_array(raster).attrs) | {"surface": Surface.DTM.value, "model": chosen}
    lowered = found.mask.astype(np.float32)
    data = _dataset(raster.geobox, attributes, elevation=found.heights_m, standard_error=found.sigma_m, lowered=lowered)
    data["lowered"].attrs = {"units": "1"}
    return data


def _dataset(geobox: Any, attributes: dict[str, Any], **planes: Any) -> xr.Dataset:
    known = {name: plane for name, plane in planes.items() if plane is not None}
    return xr.Dataset({name: to_array(plane, geobox, name, attributes) for name, plane in known.items()})
