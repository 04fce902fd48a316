"""A fitted terrain as a file: safetensors with the surface, its CRS, extent and error statistics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import CRS
from pyproj.exceptions import CRSError

from orograph.pipeline.core.model_file import description_of, read_described
from orograph.pipeline.errors import ForeignModel, OutsideExtent, SourceGridError
from orograph.pipeline.implicit.fields import Field, Jet
from orograph.pipeline.implicit.payload import Arrays, Payload, decode
from orograph.pipeline.implicit.splines import Float64Array

FORMAT: Final = "orograph-implicit"
VERSION: Final = 1
MEDIA_TYPE: Final = "application/vnd.safetensors"


@dataclass(frozen=True, slots=True)
class FitStatistics:
    """Errors of the stored surface against the original raster, at its pixel centres.

    Attributes:
        rmse_m, mae_m, max_m, bias_m: Root mean square, mean absolute, largest absolute and mean error, metres.
        pixels: Valid pixels compared.
        void_fraction: Fraction of the raster that was void and is bridged.
    """

    rmse_m: float
    mae_m: float
    max_m: float
    bias_m: float
    pixels: int
    void_fraction: float

    @classmethod
    def between(cls, surface_m: Float64Array, heights_m: np.ndarray) -> Self:
        """Compare a surface with a raster; NaN pixels of the raster are excluded."""
        valid = np.isfinite(heights_m)
        error = (surface_m - heights_m)[valid]
        figures = (np.sqrt(np.mean(error**2)), np.mean(np.abs(error)), np.abs(error).max(), error.mean())
        rmse, mae, largest, bias = (round(float(figure), 4) for figure in figures)
        return cls(rmse, mae, largest, bias, int(valid.sum()), round(1.0 - float(valid.mean()), 6))


@dataclass(frozen=True, slots=True, eq=False)
class ImplicitModel:
    """A georeferenced continuous terrain.

    Attributes:
        arrays, spec: The stored payload.
        crs: Horizontal CRS, `EPSG:n` or WKT.
        bounds: West, south, east, north in units of the CRS.
        shape: Rows and columns of the original raster.
        statistics: Errors of the fit.
        source: Name of the original raster.
        frame: Vertical frame of the heights, when known.
        field: The decoded surface.
    """

    arrays: Arrays
    spec: Mapping[str, Any]
    crs: str
    bounds: tuple[float, float, float, float]
    shape: tuple[int, int]
    statistics: FitStatistics
    source: str = ""
    frame: str = ""
    field: Field = field(init=False)

    def __post_init__(self) -> None:
        west, south, east, north = self.bounds
        if not (west < east and south < north):
            raise ForeignModel(f"the model has an empty extent: {self.bounds}")
        object.__setattr__(self, "field", decode(self.arrays, self.spec))

    @classmethod
    def of_payload(
        cls, payload: Payload, heights_m: np.ndarray, geobox: GeoBox, *, source: str = "", frame: str = ""
    ) -> Self:
        """Build a model from encoded arrays; the statistics describe the decoded arrays."""
        crs, bounds = place_of(geobox)
        arrays, spec = payload
        rows, cols = heights_m.shape
        v, u = (np.arange(rows) + 0.5) / rows, (np.arange(cols) + 0.5) / cols
        statistics = FitStatistics.between(decode(arrays, spec).grid(v, u), heights_m)
        return cls(arrays, spec, crs, bounds, (rows, cols), statistics, source, frame)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Pixel size of the original raster along x and y, in units of the CRS."""
        west, south, east, north = self.bounds
        return (east - west) / self.shape[1], (north - south) / self.shape[0]

    def unit(self, x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Transform coordinates of the CRS to the unit square (v, u).

        Raises:
            OutsideExtent: a point is outside the model's extent.
        """
        west, south, east, north = self.bounds
        x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        outside = ~((x >= west) & (x <= east) & (y >= south) & (y <= north))
        if outside.any():
            k = np.unravel_index(int(np.argmax(outside)), outside.shape)
            raise OutsideExtent(
                f"{int(outside.sum())} of {outside.size} points are outside the model, first {x[k]:.6g}, {y[k]:.6g}",
                remedy=f"its extent is {west:.10g}, {south:.10g} to {east:.10g}, {north:.10g} in {self.crs[:40]}",
            )
        # Divide first: the far edge is exactly one, so neighbours agree on their border.
        return (north - y) / (north - south), (x - west) / (east - west)

    def height(self, x: Float64Array, y: Float64Array) -> Float64Array:
        """Heights (metres) at coordinates of the CRS.

        Raises:
            OutsideExtent: a point is outside the model's extent.
        """
        return self.field.height(*self.unit(x, y))

    def derivatives(self, x: Float64Array, y: Float64Array) -> Jet:
        """Height and derivatives, with `u` along x and `v` along y (northwards), metres per unit of the CRS."""
        west, south, east, north = self.bounds
        jet = self.field.jet(*self.unit(x, y))
        down, right = -1.0 / (north - south), 1.0 / (east - west)
        return Jet(
            jet.height,
            jet.dv * down,
            jet.du * right,
            jet.dvv * down**2,
            jet.dvu * (down * right),
            jet.duu * right**2,
        )

    def save(self, path: Path) -> int:
        """Write the file; returns its size in bytes."""
        from safetensors.numpy import save

        document = {
            "version": VERSION,
            "crs": self.crs,
            "bounds": self.bounds,
            "shape": self.shape,
            "statistics": asdict(self.statistics),
            "source": self.source,
            "vertical_frame": self.frame,
            "surface": self.spec,
        }
        text = json.dumps(document, separators=(",", ":"), sort_keys=True)
        data = save({k: np.ascontiguousarray(v) for k, v in self.arrays.items()}, metadata={FORMAT: text})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return len(data)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            SourceMissing: the file does not exist.
            ForeignModel: not safetensors, not an implicit terrain, another version, or an incomplete description.
        """
        document, arrays = read_described(
            path, FORMAT, "an implicit terrain", VERSION, remedy="fit one with `orograph implicit fit`"
        )
        with description_of(path):
            return cls._of_document(document, arrays)

    @classmethod
    def _of_document(cls, document: Mapping[str, Any], arrays: Arrays) -> Self:
        west, south, east, north = (float(value) for value in document["bounds"])
        rows, cols = (int(value) for value in document["shape"])
        return cls(
            arrays,
            document["surface"],
            str(document["crs"]),
            (west, south, east, north),
            (rows, cols),
            FitStatistics(**document["statistics"]),
            str(document["source"]),
            str(document["vertical_frame"]),
        )


def place_of(geobox: GeoBox) -> tuple[str, tuple[float, float, float, float]]:
    """CRS and bounds of a raster's grid.

    Raises:
        SourceGridError: no CRS, or rows and columns do not run along its axes, north up.
    """
    affine = geobox.affine
    if geobox.crs is None:
        raise SourceGridError("the raster has no CRS", remedy="assign one with gdal_edit -a_srs")
    if affine.b or affine.d or affine.a <= 0 or affine.e >= 0:
        raise SourceGridError(
            f"the raster is rotated or flipped: {tuple(affine)[:6]}", remedy="warp it north up with gdalwarp"
        )
    rows, cols = geobox.shape
    west, north = affine.c, affine.f
    epsg = geobox.crs.to_epsg()
    return (
        f"EPSG:{epsg}" if epsg else geobox.crs.to_wkt(),
        (west, north + rows * affine.e, west + cols * affine.a, north),
    )


def parse_crs(text: str) -> CRS:
    """A CRS in any notation that pyproj reads.

    Raises:
        SourceGridError: pyproj cannot parse it.
    """
    try:
        return CRS.from_user_input(text)
    except CRSError as error:
        raise SourceGridError(f"{text[:60]!r} is not a CRS") from error
