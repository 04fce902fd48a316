"""Describes a file: grid, frame, nodata, overviews and format checks; read in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyproj
from pyproj.exceptions import CRSError
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError

from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.core.pictures import draw_relief
from orograph.pipeline.errors import ConfigError, ExportError, OrographError, SourceCorrupt, SourceMissing
from orograph.pipeline.exports.hgt import HIGHEST_M, LOWEST_M, VOID
from orograph.pipeline.exports.sampling import metres_per_degree
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.hillshade import hillshade
from orograph.pipeline.formats.vertical_datum import VERTICAL_DATUM_TAG, VERTICAL_NAME_TAG
from orograph.pipeline.sources.archives import gdal_path, is_archive
from orograph.pipeline.sources.fact_reader import read_facts
from orograph.pipeline.sources.facts import Declared, Facts
from orograph.pipeline.sources.header import check_hgt_name
from orograph.pipeline.sources.opening import opened_raster
from orograph.pipeline.sources.raster_formats import HGT, format_of, in_zip
from orograph.pipeline.sources.sidecars import basename, find_sidecars
from orograph.pipeline.sources.single_raster import HeightRaster, open_heights
from orograph.pipeline.sources.suspicion import Suspicion, examine
from orograph.pipeline.sources.untrusted_header import check_raster_file

_SAMPLE_PX: Final = 1024
_STRIP_PX: Final = 1024
_ENLARGED: Final = 5
_NOT_HEIGHTS: Final = {
    "hillshade",
    "source",
    "source index",
    "sources",
    "slope",
    "mask",
    "fill",
    "uncertainty",
    "sigma",
    "lowered",
}
"""Names of bands of our own products that are not heights."""


@dataclass(frozen=True, slots=True)
class Check:
    """One property expected of the file, whether it is met, and the value found."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True, slots=True)
class Inspection:
    """Description of a file.

    Attributes:
        facts: Name to value, JSON-ready.
        checks: Results of the checks.
        sample_m: Heights at about 1024 pixels per side, NaN void; None for files without heights.
        pixel_m: Width and height of a sample's pixel, metres.
        suspicions: Implausible samples and their positions.
    """

    facts: dict[str, Any]
    checks: tuple[Check, ...]
    sample_m: npt.NDArray[np.float32] | None
    pixel_m: tuple[float, float]
    suspicions: tuple[Suspicion, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


def inspect(path: Path) -> Inspection:
    """Describe a raster of any format that the other commands read.

    Raises:
        SourceMissing: the file does not exist.
        SourceCorrupt: it is not a raster, or cannot be read.
        IngestNeeded: only `orograph ingest` reads it.
    """
    if not path.exists():
        raise SourceMissing(f"no raster at {path}", source=str(path), remedy="check the path")
    try:
        name = gdal_path(str(path))
        check_raster_file(Path(name) if in_zip(name) is None else path)
        if format_of(name) is HGT:
            return _inspect_hgt(path)
        sidecars = find_sidecars(name)
        with opened_raster(name, sidecars=bool(sidecars)) as dataset:
            return _inspect_raster(path, name, dataset, sidecars)
    except RasterioError as fault:
        raise SourceCorrupt(f"{path.name} cannot be read as a raster: {fault}", source=str(path)) from fault


def draw_suspicions(path: Path, suspicions: tuple[Suspicion, ...], stem: Path) -> tuple[Path, ...]:
    """Write a picture of the location of each finding, enlarged: relief above, heights in grey below.

    Args:
        path: The raster.
        suspicions: Findings of `inspect`.
        stem: Path of the pictures without `_<kind>.png`.
    """
    from PIL import Image

    drawn = []
    with open_heights(path) as raster:
        for one in suspicions:
            heights = raster.read_unchecked(one.row, one.col, one.height, one.width)
            shade = hillshade(np.pad(heights, 1, mode="edge"), abs(raster.transform.a), exaggeration=2.0)
            picture = np.vstack([shade, _grey(heights)])
            target = stem.with_name(f"{stem.name}_{one.kind.replace(' ', '_')}.png")
            size = (picture.shape[1] * _ENLARGED, picture.shape[0] * _ENLARGED)
            Image.fromarray(picture, "L").resize(size, Image.Resampling.NEAREST).save(target)
            drawn.append(target)
    return tuple(drawn)


def _grey(heights_m: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Heights from black (lowest) to white; voids black."""
    known = heights_m[np.isfinite(heights_m)]
    if not known.size:
        return np.zeros(heights_m.shape, np.uint8)
    low, high = float(known.min()), float(known.max())
    scaled = (heights_m - low) / max(high - low, 1e-6) * 255.0
    return np.nan_to_num(scaled, nan=0.0).astype(np.uint8)


def draw(inspection: Inspection, out_path: Path) -> None:
    """Write a map of the sample: shaded relief with a scale bar and heights in metres.

    Raises:
        ExportError: the file contains no heights.
    """
    if inspection.sample_m is None or min(inspection.sample_m.shape) < 3:
        raise ExportError("there are no heights to draw")
    draw_relief(out_path, inspection.sample_m, inspection.pixel_m, str(inspection.facts.get("file", "")))


def _inspect_hgt(path: Path) -> Inspection:
    with open_heights(path) as raster:
        facts = raster.facts
        check_hgt_name(path.name, facts, path.name)
        look = _look(facts, path.name)
    rows, cols = facts.shape
    west, _, _, north = facts.bounds
    cell = Cell(round(north - facts.affine.a - 0.5), round(west + 0.5))
    east_m, north_m = metres_per_degree(cell.lat + 0.5)
    values = look.values()
    described = {
        "file": path.name,
        "kind": "HGT",
        "cell": cell.id,
        "samples": [rows, cols],
        "arc_seconds": 3600 / (rows - 1) if 3600 % (rows - 1) else 3600 // (rows - 1),
        "bounds_of_samples": list(cell.bounds_deg),
        "data_type": "int16, big-endian",
        "vertical_frame": "not stated by the format",
        "nodata": VOID,
        **{key: value if key == "void_percent" or value is None else int(value) for key, value in values.items()},
    }
    low, high = (math.nan if values[key] is None else values[key] for key in ("minimum", "maximum"))
    checks = (Check("name and size fit", True, f"{path.name}, {rows} x {cols}"), _range_check(low, high))
    sample = look.sample_m
    pixel = (east_m / sample.shape[1], north_m / sample.shape[0])
    return Inspection(described, checks, sample, pixel, look.suspicions)


def _inspect_raster(path: Path, name: str, dataset: Any, sidecars: tuple[str, ...]) -> Inspection:
    is_height = _contains_heights(dataset)
    facts: Facts | None = None
    fault = "file and side-cars do not contradict each other"
    try:
        facts = read_facts(name, Declared(), label=path.name)
    except OrographError as error:
        fault = error.message
    # Raw samples where there are no heights, or where the file's facts contradict each other.
    look = _look(facts, path.name) if is_height and facts is not None else _Look.of_sample(_sample(dataset))
    described = _described(path, format_of(name).driver, dataset, facts, sidecars) | look.values()
    checks = _checks(path, dataset, described, is_height=is_height)
    if is_height:
        checks = (*checks, Check("facts agree", facts is not None, fault))
    rows, cols = look.sample_m.shape
    pixel = _ground_pixel(dataset)
    ground = (pixel[0] * dataset.width / cols, pixel[1] * dataset.height / rows)
    return Inspection(described, checks, look.sample_m if is_height else None, ground, look.suspicions)


@dataclass(frozen=True, slots=True)
class _Look:
    """A small picture of the heights, statistics of all of them, and the suspicious samples."""

    sample_m: npt.NDArray[np.float32]
    void_share: float
    low_m: float
    high_m: float
    suspicions: tuple[Suspicion, ...] = ()

    @classmethod
    def of_sample(cls, sample: npt.NDArray[np.float32]) -> Self:
        """Statistics of a sample alone."""
        known = sample[np.isfinite(sample)]
        low, high = (float(known.min()), float(known.max())) if known.size else (math.nan, math.nan)
        return cls(sample, 1.0 - known.size / max(1, sample.size), low, high)

    def values(self) -> dict[str, Any]:
        known = math.isfinite(self.low_m)
        return {
            "void_percent": round(100.0 * self.void_share, 3),
            "minimum": self.low_m if known else None,
            "maximum": self.high_m if known else None,
        }


def _contains_heights(dataset: Any) -> bool:
    """Whether a raster contains heights: one numeric band (and alpha), no palette, no other product's name."""
    alpha = dataset.count == 2 and dataset.colorinterp[1] == ColorInterp.alpha
    named = (dataset.descriptions[0] or "").lower()
    other = named in _NOT_HEIGHTS or dataset.colorinterp[0] == ColorInterp.palette
    return (dataset.count == 1 or alpha) and not dataset.dtypes[0].startswith("complex") and not other


def _look(facts: Facts, name: str) -> _Look:
    """Heights as every command reads them: all are read by strips, every n-th in both directions is kept."""
    step = max(1, math.ceil(max(facts.shape) / _SAMPLE_PX))
    kept, known, low, high = [], 0, math.inf, -math.inf
    with HeightRaster(facts, name) as raster:
        for row in range(0, raster.height, _STRIP_PX):
            strip = raster.read_unchecked(row, 0, min(_STRIP_PX, raster.height - row), raster.width)
            kept.append(strip[-row % step :: step, ::step].copy())
            finite = strip[np.isfinite(strip)]
            if finite.size:
                known += finite.size
                low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        suspicions = examine(raster)
    void_share = 1.0 - known / (facts.shape[0] * facts.shape[1])
    return _Look(np.concatenate(kept), void_share, low if known else math.nan, high if known else math.nan, suspicions)


def _described(path: Path, kind: str, dataset: Any, facts: Facts | None, sidecars: tuple[str, ...]) -> dict[str, Any]:
    frame = _frames(dataset)
    tags = dataset.tags(ns="IMAGE_STRUCTURE")
    named = {} if facts is None else {"mask": facts.record()["mask"], "unit": facts.unit}
    scaled = (dataset.scales[0], dataset.offsets[0]) != (1.0, 0.0)
    return {
        "file": path.name,
        "kind": "COG" if tags.get("LAYOUT") == "COG" else kind,
        "size": [dataset.height, dataset.width],
        "bands": dataset.count,
        "band_names": [name for name in dataset.descriptions if name],
        "data_type": dataset.dtypes[0],
        "crs": frame["horizontal"] or (None if facts is None else facts.horizontal_crs),
        "vertical_frame": frame["vertical"],
        "pixel_size": [dataset.transform.a, -dataset.transform.e],
        "bounds": list(dataset.bounds if facts is None else facts.bounds),
        "tile": _tile_of(dataset),
        "compression": tags.get("COMPRESSION", "none"),
        "block": list(dataset.block_shapes[0]),
        "overviews": dataset.overviews(1),
        "nodata": dataset.nodata if facts is None or dataset.nodata is not None else next(iter(facts.nodata), None),
        "scale_offset": [dataset.scales[0], dataset.offsets[0]] if scaled else None,
        **named,
        "nodata_by": None if facts is None else dict(facts.said_by).get("nodata"),
        "side_cars": [basename(name) for name in sidecars] or None,
        "pixels_are": dataset.tags().get("AREA_OR_POINT", "not stated"),
        "size_bytes": path.stat().st_size,
    }


def _checks(path: Path, dataset: Any, facts: dict[str, Any], *, is_height: bool) -> tuple[Check, ...]:
    cloud = [_cog_check(path)] if facts["kind"] in {"GTiff", "COG"} and not is_archive(path.name) else []
    checks = [*cloud, Check("horizontal CRS", facts["crs"] is not None, str(facts["crs"]))]
    north_up = dataset.transform.b == dataset.transform.d == 0 and dataset.transform.e < 0 < dataset.transform.a
    checks.append(Check("north up", north_up, "yes" if north_up else str(tuple(dataset.transform)[:6])))
    if is_height:
        checks.append(Check("vertical frame", facts["vertical_frame"] is not None, str(facts["vertical_frame"])))
        declared = facts["nodata"] if facts.get("mask") is None else facts["mask"]
        checks.append(Check("nodata declared", declared is not None, str(declared)))
        low, high = (math.nan if facts[name] is None else facts[name] for name in ("minimum", "maximum"))
        checks.append(_range_check(low, high))
    return tuple(checks)


def _cog_check(path: Path) -> Check:
    try:
        cog.validate(path, pixel_is=None)
    except OrographError as fault:
        return Check("cloud-optimised", False, fault.message)
    return Check("cloud-optimised", True, "strictly valid")


def _range_check(low: float, high: float) -> Check:
    if math.isnan(low):
        return Check("heights plausible", False, "no heights at all")
    return Check("heights plausible", low >= LOWEST_M and high <= HIGHEST_M, f"{low:g} to {high:g} m")


def _sample(dataset: Any) -> npt.NDArray[np.float32]:
    factor = max(1.0, max(dataset.shape) / _SAMPLE_PX)
    shape = tuple(max(1, round(side / factor)) for side in dataset.shape)
    values = dataset.read(1, out_shape=shape, masked=True, resampling=Resampling.average)
    return values.astype(np.float32).filled(np.nan)


def _frames(dataset: Any) -> dict[str, str | None]:
    if dataset.crs is None:
        return {"horizontal": None, "vertical": None}
    try:
        crs = pyproj.CRS(dataset.crs.to_wkt())
    except CRSError:
        return {"horizontal": str(dataset.crs), "vertical": None}
    parts = crs.sub_crs_list if crs.is_compound else [crs]
    named = [_name(part) for part in parts]
    ellipsoidal = len(parts) == 1 and len(crs.axis_info) == 3
    return {
        "horizontal": named[0],
        "vertical": named[1] if len(named) > 1 else "ellipsoidal" if ellipsoidal else _tagged_datum(dataset.tags()),
    }


def _tagged_datum(tags: Mapping[str, str]) -> str | None:
    """The vertical datum that metadata names, as `_name` writes it."""
    code, name = tags.get(VERTICAL_DATUM_TAG), tags.get(VERTICAL_NAME_TAG)
    return f"{code} ({name})" if code and name else code


def _name(crs: pyproj.CRS) -> str:
    code = crs.to_epsg()
    return f"EPSG:{code} ({crs.name})" if code else crs.name


def _ground_pixel(dataset: Any) -> tuple[float, float]:
    width, height = abs(dataset.transform.a), abs(dataset.transform.e)
    if dataset.crs is not None and dataset.crs.is_geographic:
        middle = (dataset.bounds.top + dataset.bounds.bottom) / 2
        east, north = metres_per_degree(max(-89.0, min(89.0, middle)))
        return width * east, height * north
    return width, height


def _tile_of(dataset: Any) -> str | None:
    try:
        tile = Tile(round(dataset.bounds.left / 1000), round(dataset.bounds.bottom / 1000))
        geobox = tile.geobox(dataset.transform.a)
    except (OrographError, ConfigError):
        return None
    return tile.id if geobox.affine == dataset.transform and geobox.shape.shape == dataset.shape else None
