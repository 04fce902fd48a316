"""Compares rasters with control points: transforms points to the raster's frame and groups errors by class."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS, Transformer
from scipy.ndimage import distance_transform_edt

from orograph.pipeline.core.frames import frame_id
from orograph.pipeline.errors import NoOverlap, SourceMissing, VerticalFrameMissing
from orograph.pipeline.sources.single_raster import open_heights
from orograph.pipeline.validation.control import Control
from orograph.pipeline.validation.figures import AccuracyFigures
from orograph.pipeline.validation.sampling import (
    RasterFacts,
    crs_of,
    places_in,
    raster_facts,
    sample_heights,
    sample_nearest,
)
from orograph.pipeline.vertical import Operation, VerticalCatalogue

Array = npt.NDArray[Any]

SLOPE_EDGES_DEG: Final = (0.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 90.0)
BORDER_EDGES_M: Final = (0.0, 50.0, 200.0, 1000.0, np.inf)
_ASPECTS: Final = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
_FEWEST: Final = 3
_ELEVATION: Final = "_elevation.tif"
_SURFACES: Final = {"10": "trees", "20": "shrubs", "30": "grass", "40": "crops", "50": "built-up", "60": "bare"}
_WORLDCOVER: Final = {
    **_SURFACES,
    "70": "snow and ice",
    "80": "water",
    "90": "wetland",
    "95": "mangroves",
    "100": "moss",
}


@dataclass(frozen=True, slots=True)
class ValidationOptions:
    """Options of the comparison.

    Attributes:
        frame: Vertical frame of the raster; None for the declaration of its file.
        control_frame: Vertical frame of the control; None for the declaration of its file.
        epoch: Decimal year of the control's coordinates, for dynamic frames.
        uncertainty: Raster of standard deviations; of tiles their own.
        land_cover: Raster of classes (ESA WorldCover); classes in the control's own column come first.
        source_index: Raster of source numbers; of tiles their own.
        source_names: Ids of sources 1, 2, ...; empty takes those of the tile's manifest.
        worst_slope_deg: Steeper terrain is excluded from the overall statistics, not from the classes; None excludes
            none.
    """

    frame: str | None = None
    control_frame: str | None = None
    epoch: float | None = None
    uncertainty: Path | None = None
    land_cover: Path | None = None
    source_index: Path | None = None
    source_names: tuple[str, ...] = ()
    worst_slope_deg: float | None = None

    def __post_init__(self) -> None:
        for name in ("frame", "control_frame"):
            if (frame := getattr(self, name)) is not None:
                object.__setattr__(self, name, frame_id(frame))


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """Errors of rasters at control points.

    Attributes:
        control: Name of the control.
        frame: Vertical frame in which heights were compared, and that of the control.
        control_frame: Frame the control was moved from.
        operation: The vertical operation, by name.
        operation_accuracy_m: Its standard deviation.
        x, y: Positions of the compared points in degrees (longitude, latitude).
        error_m: Raster minus control, metres.
        height_m, slope_deg, aspect_deg: Values of the raster at the points.
        sigma_m: Stated standard deviation of the error, including the control's; NaN if none is stated.
        cover, source: Class names, empty where unknown.
        border_m: Distance to the next border between two sources, NaN without a source index.
        overall: Figures of all points.
        classes: Figures by kind of class (`slope`, `aspect`, `cover`, `source`, `border`) and class.
        rasters: Names of the rasters.
        notes: Notes for the reader.
        left_out: Points without a control height in the raster's frame: longitude, latitude and the reason.
    """

    control: str
    frame: str
    control_frame: str
    operation: str
    operation_accuracy_m: float
    x: Array
    y: Array
    error_m: Array
    height_m: Array
    slope_deg: Array
    aspect_deg: Array
    sigma_m: Array
    cover: Array
    source: Array
    border_m: Array
    overall: AccuracyFigures
    classes: dict[str, dict[str, AccuracyFigures]]
    rasters: tuple[str, ...]
    notes: tuple[str, ...]
    left_out: tuple[tuple[float, float, str], ...] = ()

    def document(self) -> dict[str, Any]:
        """JSON-ready statistics, without the points."""
        return {
            "control": self.control,
            "rasters": list(self.rasters),
            "vertical_frame": self.frame,
            "control_frame": self.control_frame,
            "operation": self.operation,
            "operation_accuracy_m": round(self.operation_accuracy_m, 4),
            "overall": self.overall.rounded(),
            **{
                f"by_{kind}": {name: figures.rounded() for name, figures in classes.items()}
                for kind, classes in self.classes.items()
            },
            "notes": list(self.notes),
            "left_out": dict(Counter(reason for _, _, reason in self.left_out)),
        }


@dataclass(slots=True)
class _Columns:
    """Columns of points over all rasters."""

    parts: dict[str, list[Array]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)

    def add(self, **columns: Array) -> None:
        for name, values in columns.items():
            self.parts.setdefault(name, []).append(values)

    def column(self, name: str) -> Array:
        return np.concatenate(self.parts[name])


def rasters_of(target: Path) -> tuple[Path, ...]:
    """The raster itself, or all elevation tiles in a folder such as a run's store.

    Raises:
        SourceMissing: neither exists.
    """
    if target.is_file():
        return (target,)
    found = tuple(sorted(target.rglob(f"*{_ELEVATION}"))) if target.is_dir() else ()
    if not found:
        raise SourceMissing(
            f"{target} is neither a raster nor a folder with tiles", remedy="give a raster or a run's store"
        )
    return found


def validate(
    rasters: Sequence[Path], control: Control, grids_dir: Path, options: ValidationOptions | None = None
) -> Validation:
    """Compare rasters with control points.

    Args:
        rasters: Rasters of heights in metres; tiles bring their own uncertainty and source index.
        control: Points with heights.
        grids_dir: Folder of the vertical catalogue's grids.
        options: See `ValidationOptions`.

    Raises:
        VerticalFrameMissing: a frame is neither declared nor given.
        VerticalError: the control cannot be moved to the raster's frame.
        NoOverlap: no point has a height in any raster.
    """
    asked = options or ValidationOptions()
    gathered = _Columns()
    for path in rasters:
        _compare(path, control, grids_dir, asked, gathered)
    if not gathered.parts:
        raise NoOverlap(
            f"none of the {control.count} points of {control.name} has a height in the raster",
            source=control.name,
            remedy="check the CRS of the points (--crs) and the order of longitude and latitude",
        )
    return _put_together(control, gathered, asked)


def _frames(facts: RasterFacts, control: Control, asked: ValidationOptions, name: str) -> tuple[str, str]:
    """Vertical frames of the raster and of the control."""
    frame, other = asked.frame or facts.frame, asked.control_frame or control.frame
    for what, found, option in ((name, frame, "--frame"), (control.name, other, "--control-frame")):
        if found is None:
            raise VerticalFrameMissing(
                f"{what} does not declare its vertical frame",
                source=what,
                remedy=f"name it with {option}, e.g. {option} EPSG:5621",
            )
    return str(frame), str(other)


def _compare(path: Path, control: Control, grids_dir: Path, asked: ValidationOptions, gathered: _Columns) -> None:
    """Add the points of one raster."""
    facts = raster_facts(path)
    frame, other = _frames(facts, control, asked, path.name)
    x, y = places_in(control, facts.crs)
    sampled = sample_heights(path, x, y, facts.pixel_m)
    inside = np.flatnonzero(np.isfinite(sampled.height_m))
    if not inside.size:
        return
    part = control.only(inside)
    lon, lat = (np.asarray(v) for v in _degrees(part))
    operation = VerticalCatalogue.load().operation(other, frame, grids_dir=grids_dir, epoch=asked.epoch)
    truth = part.height_m + operation.shift(lon, lat)
    x, y = x[inside], y[inside]
    uncertainty = asked.uncertainty or _sibling(path, "uncertainty")
    index = asked.source_index or _sibling(path, "source_index")
    stated = (
        sample_nearest(uncertainty, *_moved(facts.crs, uncertainty, x, y)) if uncertainty else np.full(x.size, np.nan)
    )
    names = dict(enumerate(asked.source_names, 1)) or _source_names(path)
    source, border = _sources(index, names, facts, x, y)
    gathered.add(
        x=lon,
        y=lat,
        error_m=sampled.height_m[inside] - truth,
        height_m=sampled.height_m[inside],
        slope_deg=sampled.slope_deg[inside],
        aspect_deg=sampled.aspect_deg[inside],
        # The control has errors too: the stated uncertainty must cover both.
        sigma_m=np.hypot(stated, np.nan_to_num(part.sigma_m)),
        cover=_cover(part, asked.land_cover, facts.crs, x, y),
        source=source,
        border_m=border,
        reason=np.array(operation.reasons(lon, lat), object),
    )
    gathered.names.append(path.name)
    gathered.operations.append(operation)
    gathered.frames.append(frame)


def _degrees(control: Control) -> tuple[Array, Array]:
    """Longitude and latitude of the control in ETRS89, as vertical operations want them."""
    return places_in(control, CRS.from_epsg(4258))


def _sibling(path: Path, product: str) -> Path | None:
    """Another product of a tile, next to its elevation; None for other rasters."""
    if not path.name.endswith(_ELEVATION):
        return None
    other = path.with_name(f"{path.name.removesuffix(_ELEVATION)}_{product}.tif")
    return other if other.is_file() else None


def _moved(crs: CRS, path: Path, x: Array, y: Array) -> tuple[Array, Array]:
    """Places in the CRS of another raster."""
    other = crs_of(path)
    if other == crs:
        return x, y
    moved = Transformer.from_crs(crs, other, always_xy=True).transform(x, y)
    return np.asarray(moved[0]), np.asarray(moved[1])


def _cover(control: Control, raster: Path | None, crs: CRS, x: Array, y: Array) -> Array:
    """Land-cover classes by name: the control's own, else a raster's."""
    if raster is None or (control.cover != "").any():
        return np.array([_WORLDCOVER.get(name, name) for name in control.cover], object)
    values = sample_nearest(raster, *_moved(crs, raster, x, y))
    names = [str(int(v)) if np.isfinite(v) else "" for v in values]
    return np.array([_WORLDCOVER.get(name, name) for name in names], object)


def _sources(index: Path | None, names: dict[int, str], facts: RasterFacts, x: Array, y: Array) -> tuple[Array, Array]:
    """Source names, and distances to the next border between sources, metres."""
    if index is None:
        return np.full(x.size, "", object), np.full(x.size, np.nan)
    x, y = _moved(facts.crs, index, x, y)
    values = sample_nearest(index, x, y)
    label = [names.get(int(v), f"source {int(v)}") if np.isfinite(v) and v > 0 else "" for v in values]
    with rasterio.open(index) as file:
        numbers = file.read(1)
        edge = np.zeros(numbers.shape, np.bool_)
        across = (numbers[:, 1:] != numbers[:, :-1]) & (numbers[:, 1:] > 0) & (numbers[:, :-1] > 0)
        down = (numbers[1:] != numbers[:-1]) & (numbers[1:] > 0) & (numbers[:-1] > 0)
        edge[:, 1:] |= across
        edge[1:] |= down
        if not edge.any():
            return np.array(label, object), np.full(x.size, np.inf)
        distance = distance_transform_edt(~edge).astype(np.float32)
        inverse = ~file.transform
        col = np.clip((inverse.a * x + inverse.c).astype(int), 0, file.width - 1)
        row = np.clip((inverse.e * y + inverse.f).astype(int), 0, file.height - 1)
    return np.array(label, object), distance[row, col] * facts.pixel_m


def _source_names(path: Path) -> dict[int, str]:
    """Source ids by number, from the manifest of a tile's folder; empty without one."""
    for folder in (path.parent, *path.parents[1:3]):
        manifest = folder / "manifest.json"
        if manifest.is_file():
            document = json.loads(manifest.read_text(encoding="utf-8"))
            return {k: ref["source"]["id"] for k, ref in enumerate(document.get("sources", ()), 1)}
    return {}


def _put_together(control: Control, gathered: _Columns, asked: ValidationOptions) -> Validation:
    columns = {name: gathered.column(name) for name in gathered.parts}
    reasons = columns.pop("reason")
    error, sigma = columns["error_m"], columns["sigma_m"]
    known = np.isfinite(error)
    notes = list(control.notes)
    left_out: tuple[tuple[float, float, str], ...] = ()
    if not known.all():
        counted = Counter(str(reason) or "the control has no height" for reason in reasons[~known])
        notes += [f"{count} points left out: {reason}" for reason, count in counted.items()]
        left_out = tuple(
            (float(x), float(y), str(reason) or "the control has no height")
            for x, y, reason in zip(columns["x"][~known], columns["y"][~known], reasons[~known], strict=True)
        )
        columns = {name: values[known] for name, values in columns.items()}
        error, sigma = columns["error_m"], columns["sigma_m"]
    if not error.size:
        raise NoOverlap(
            f"all points of {control.name} are outside the area of {gathered.operations[0].id}", source=control.name
        )
    used = np.ones(error.size, np.bool_)
    if asked.worst_slope_deg is not None:
        used = ~(columns["slope_deg"] > asked.worst_slope_deg)
        notes.append(
            f"overall figures leave out {int((~used).sum())} points on slopes over {asked.worst_slope_deg:g} degrees"
        )
    stated = sigma if np.isfinite(sigma).any() else None
    first = gathered.operations[0]
    return Validation(
        control=control.name,
        frame=", ".join(dict.fromkeys(gathered.frames)),
        control_frame=first.frame_from,
        operation=first.id,
        operation_accuracy_m=first.accuracy_m,
        overall=AccuracyFigures.of(error[used], None if stated is None else stated[used]),
        classes=_classes(columns, stated),
        rasters=tuple(gathered.names),
        notes=tuple(notes),
        left_out=left_out,
        **columns,
    )


Kind = Literal["slope", "aspect", "cover", "source", "border"]


def _classes(columns: dict[str, Array], sigma: Array | None) -> dict[str, dict[str, AccuracyFigures]]:
    """Return figures by class, for kinds that are informative (usually more than one class)."""
    error = columns["error_m"]
    labels: dict[Kind, tuple[Array, Sequence[str]]] = {
        "slope": _binned(columns["slope_deg"], SLOPE_EDGES_DEG, "degrees"),
        "aspect": _by_aspect(columns["aspect_deg"]),
        "cover": (columns["cover"], sorted({name for name in columns["cover"] if name})),
        "source": (columns["source"], sorted({name for name in columns["source"] if name})),
        "border": _binned(columns["border_m"], BORDER_EDGES_M, "m"),
    }
    out: dict[str, dict[str, AccuracyFigures]] = {}
    for kind, (label, names) in labels.items():
        of_kind = {}
        for name in names:
            chosen = label == name
            if np.count_nonzero(chosen) >= _FEWEST:
                of_kind[name] = AccuracyFigures.of(error[chosen], None if sigma is None else sigma[chosen])
        if of_kind:
            out[kind] = of_kind
    return out


def _binned(values: Array, edges: tuple[float, ...], unit: str) -> tuple[Array, Sequence[str]]:
    names = [
        f"{low:g} to {high:g} {unit}" if np.isfinite(high) else f"over {low:g} {unit}" for low, high in pairwise(edges)
    ]
    number = np.clip(np.digitize(np.nan_to_num(values, nan=-1.0, posinf=1e12), edges) - 1, 0, len(names) - 1)
    label = np.array(names, object)[number]
    label[~(values >= edges[0])] = ""
    return label, names


def _by_aspect(aspect_deg: Array) -> tuple[Array, Sequence[str]]:
    number = np.rint(np.nan_to_num(aspect_deg) / 45.0).astype(int) % 8
    label = np.array(_ASPECTS, object)[number]
    label[~np.isfinite(aspect_deg)] = ""
    return label, _ASPECTS


def control_of_raster(path: Path, most: int = 200_000) -> Control:
    """Use another raster as control: its valid pixel centres, decimated to at most `most` points.

    Raises:
        SourceMissing, SourceCorrupt, SourceGridError: it cannot be used.
    """
    facts = raster_facts(path)
    with open_heights(path) as raster:
        step = max(1, int(np.ceil(np.sqrt(raster.width * raster.height / most))))
        rows, cols = np.arange(step // 2, raster.height, step), np.arange(step // 2, raster.width, step)
        heights = np.stack([raster.read(int(row), 0, 1, raster.width)[0, cols] for row in rows]).astype(np.float64)
        affine = raster.transform
    x, y = np.meshgrid(affine.c + affine.a * (cols + 0.5), affine.f + affine.e * (rows + 0.5))
    good = np.isfinite(heights)
    count = int(good.sum())
    if not count:
        raise NoOverlap(f"{path.name} has no heights", source=path.name)
    notes = (f"{path.name}: every {step}th pixel of each row and column",) if step > 1 else ()
    return Control(
        path.name,
        x[good],
        y[good],
        heights[good],
        np.full(count, np.nan),
        np.full(count, "", object),
        facts.crs,
        facts.frame,
        notes,
    )
