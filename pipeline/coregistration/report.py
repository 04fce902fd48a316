"""Coregistration of files: aligned raster, field, JSON, pictures, and one HTML page."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS
from rasterio.errors import RasterioError

from orograph.pipeline.core.progress import report as report_progress
from orograph.pipeline.coregistration import plots as figures
from orograph.pipeline.coregistration.cpu_kernels import before_compiled
from orograph.pipeline.coregistration.cross_validation import HeldOut, held_out
from orograph.pipeline.coregistration.estimate import Spread
from orograph.pipeline.coregistration.files import Sample, sample_of, write_json, write_rasters
from orograph.pipeline.coregistration.fitting import fit
from orograph.pipeline.coregistration.grids import choose_grid, true_north_deg
from orograph.pipeline.coregistration.notices import HeightBias, height_bias, mask_use
from orograph.pipeline.coregistration.page import write_page
from orograph.pipeline.coregistration.prepare import Prepared, prepare_pair, read_heights, read_mask
from orograph.pipeline.coregistration.result import Coregistration
from orograph.pipeline.coregistration.status import CoregistrationStatus
from orograph.pipeline.version import __version__

Array = npt.NDArray[Any]

CONVENTION: Final = "reference(x) = raster(x - (east, north)) + up; metres"
DEFAULT_METHOD: Final = "blockwise(nuth-kaab)"


_SURROUNDINGS_M: Final = 1500.0
"""Window of the means that heights and residuals are compared with; the default blocks are not much larger."""

_PERCENT_AFTER: Final = {
    "read": (5, "fitting the displacement"),
    "fit": (40, "checking on held-out cells"),
    "held out": (80, "writing the aligned raster"),
    "apply and write": (95, "drawing"),
}
"""Typical fraction of the time after a step, and the next step."""


@dataclass(slots=True)
class Stopwatch:
    """Wall and CPU seconds by step."""

    seconds: dict[str, dict[str, float]] = field(default_factory=dict)
    _wall: float = field(default_factory=time.perf_counter)
    _cpu: float = field(default_factory=time.process_time)

    def lap(self, name: str) -> None:
        """Record the time since the last lap under a name, and report the progress."""
        if name in _PERCENT_AFTER:
            percent, following = _PERCENT_AFTER[name]
            report_progress(f"coregistration: {following}", percent, 100)
        wall, cpu = time.perf_counter(), time.process_time()
        self.seconds[name] = {"wall": round(wall - self._wall, 3), "cpu": round(cpu - self._cpu, 3)}
        self._wall, self._cpu = wall, cpu


@dataclass(frozen=True, slots=True, eq=False)
class CoregistrationOutcome:
    """Results of a coregistration, with their statistics."""

    result: Coregistration
    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CoregistrationRequest:
    """Options for aligning two files.

    Attributes:
        inliers: Mask file, non-zero is terrain that did not change.
        method: See `parse_method`.
        max_shift_m: Largest horizontal shift allowed; 60 pixels when None.
        same_heights: Compare heights although vertical frames differ.
        grid: Grid of the output: `reference`, `source`, or `auto` for the source's where it is finer or larger.
        reference_band, band: Band numbers; None takes the only one, or the one whose description names heights.
        nodata: An additional nodata value of the raster to be aligned.
        allow_vertical: Write the raster with a vertical shift alone if no horizontal shift can be trusted.
        threads: 0 for all that this process may use.
        check: Make two more fits, for the held-out residuals.
        pictures: Draw maps, arrows and a histogram.
    """

    inliers: Path | None = None
    method: str = DEFAULT_METHOD
    max_shift_m: float | None = None
    same_heights: bool = False
    grid: str = "auto"
    reference_band: int | None = None
    band: int | None = None
    nodata: float | None = None
    allow_vertical: bool = False
    threads: int = 0
    check: bool = True
    pictures: bool = True


def peak_bytes(shape: tuple[int, int]) -> int:
    """Memory above imports of `coregister_files` for two float32 rasters of a shape in one CRS, pictures included.

    The pair, its mask and the despiked copy of the raster while fitting; strips, GDAL's cache of 64 MB, samples and
    pictures do not grow with it.
    """
    return int(shape[0] * shape[1] * 4 * 4) + 450_000_000


def coregister_files(
    reference_path: Path, moving_path: Path, out: Path, request: CoregistrationRequest | None = None
) -> CoregistrationOutcome:
    """Align a raster file with a reference file and write everything into a folder.

    `aligned.tif` and `field.tif` are written if the displacement is reliable, or with `allow_vertical` if only its
    vertical part is; the report and the pictures always. See `peak_bytes` for the memory.
    """
    with before_compiled(_pixels(reference_path, moving_path)) as by_numpy:
        return _coregister_files(
            reference_path, moving_path, out, request or CoregistrationRequest(), by_numpy=by_numpy
        )


def _pixels(*paths: Path) -> int:
    """Pixels of the largest raster; zero if one cannot be opened, since reading it gives a better error."""
    try:
        sizes = []
        for path in paths:
            with rasterio.open(path) as file:
                sizes.append(file.width * file.height)
    except RasterioError:
        return 0
    return max(sizes)


def _coregister_files(
    reference_path: Path, moving_path: Path, out: Path, asked: CoregistrationRequest, *, by_numpy: bool
) -> CoregistrationOutcome:
    watch = Stopwatch()
    pair, notes = _read(reference_path, moving_path, asked)
    grid = choose_grid(pair, asked.grid)
    watch.lap("read")
    moving = pair.to_estimate
    result = fit(pair.reference, moving, pair.inliers, asked.method, asked.max_shift_m, threads=asked.threads)
    watch.lap("fit")
    written = result.status.aligned or (asked.allow_vertical and result.status is not CoregistrationStatus.TOO_FEW)
    checked = None
    if asked.check and result.status.aligned:
        checked = held_out(
            pair.reference,
            moving,
            pair.inliers,
            result.method,
            asked.max_shift_m,
            threads=asked.threads,
            waves=bool(result.field.waves),
        )
        watch.lap("held out")
    out.mkdir(parents=True, exist_ok=True)
    rasters = None
    if written:
        rasters = write_rasters(out, pair, result, grid, threads=asked.threads)
    else:
        for name in ("aligned.tif", "field.tif"):
            (out / name).unlink(missing_ok=True)
    sample = sample_of(pair, result, rasters, threads=asked.threads)
    spreads = _common(sample)
    watch.lap("apply and write")
    bias = _height_bias(sample) if result.status.aligned else None
    if asked.pictures:
        _draw(out, result, sample, spreads, bias)
        watch.lap("pictures")
    names = {"reference": reference_path.name, "raster": moving_path.name}
    if asked.inliers is not None:
        names["inliers"] = asked.inliers.name
    facts, seen = _notices(pair, sample, bias)
    report = _report(result, checked, spreads) | {
        "written": written,
        "grid": {"of": grid.name, "averaged": grid.averaged, "crs": str(grid.geobox.crs)} if written else None,
        **_directions(pair, result),
        **facts,
        "inputs": names,
        "notes": [*notes, *([grid.note] if written and grid.note else []), *seen],
        "seconds": watch.seconds,
        "threads": asked.threads,
        "kernels": "numpy" if by_numpy else "compiled",
    }
    write_json(out / "report.json", report)
    write_page(out / "report.html", out, report)
    return CoregistrationOutcome(result, report)


def _read(reference_path: Path, moving_path: Path, asked: CoregistrationRequest) -> tuple[Prepared, list[str]]:
    """Both files, ready to be compared, and notes."""
    reference, notes = read_heights(reference_path, band=asked.reference_band)
    moving, more = read_heights(moving_path, band=asked.band, nodata=asked.nodata)
    inliers = None if asked.inliers is None else read_mask(asked.inliers, reference)
    pair = prepare_pair(reference, moving, inliers, same_heights=asked.same_heights)
    return pair, [*notes, *more, *pair.notes]


def _directions(pair: Prepared, result: Coregistration) -> dict[str, Any]:
    """The meaning of east and north, and the shift in true east and north and in pixels of the raster."""
    turn = true_north_deg(pair.reference.geobox)
    angle = math.radians(turn)
    east, north, _ = result.shift
    true_east = east * math.cos(angle) - north * math.sin(angle)
    true_north = east * math.sin(angle) + north * math.cos(angle)
    name = getattr(pair.reference.geobox.crs, "epsg", None)
    axes = f"EPSG:{name}" if name else str(CRS(str(pair.reference.geobox.crs)).name)
    pixel = pair.moving.geobox.affine.a
    return {
        "axes": f"east and north are the grid axes of {axes}; geographic north is at {turn:+.2f} degrees from grid north",
        "true_north_deg": round(turn, 4),
        "shift_geographic_m": {"east": _number(true_east), "north": _number(true_north)},
        "shift_pixels": {"columns": _number(east / pixel), "rows": _number(-north / pixel)},
    }


def _height_bias(sample: Sample) -> HeightBias | None:
    residual = np.where(sample.stable, sample.after_m, np.nan)
    window_px = max(3, round(_SURROUNDINGS_M / abs(sample.geobox.affine.a)))
    return height_bias(residual, sample.reference_m, window_px)


def _notices(pair: Prepared, sample: Sample, bias: HeightBias | None) -> tuple[dict[str, Any], list[str]]:
    """Diagnoses of the residuals: figures for the report, and sentences."""
    notes: list[str] = []
    stable = sample.stable
    if bias is not None and bias.notable:
        notes.append(str(bias))
    mask = None
    if pair.inliers is not None:
        use = mask_use(sample.after_m, stable)
        mask = {
            "share": round(use.share, 4),
            "outside_median_m": _number(use.outside_median_m),
            "outside_nmad_m": _number(use.outside_nmad_m),
            "inverted": use.inverted,
        }
        if use.inverted:
            notes.append(
                f"the mask may be inverted: {use.share:.0%} of the pixels were used, and the excluded ones agree better"
                f" (NMAD {use.outside_nmad_m:.2f} m); non-zero must mean terrain that did not change"
            )
    facts = {
        "height_bias": None if bias is None else bias.describe(),
        "mask": mask,
    }
    return facts, notes


def _common(sample: Sample) -> tuple[Spread, Spread]:
    """Differences on stable terrain before and after, each where both rasters are valid."""
    before, after = sample.before_m, sample.after_m
    return Spread.of(before[sample.stable & np.isfinite(before)]), Spread.of(after[sample.stable & np.isfinite(after)])


def _report(result: Coregistration, checked: HeldOut | None, spreads: tuple[Spread, Spread]) -> dict[str, Any]:
    first, last = spreads
    east, north, up = result.shift
    errors = [_number(v) for v in np.sqrt(np.diag(result.covariance))]
    blocks = result.blocks
    return {
        "software": f"orograph {__version__}",
        "status": result.status.value,
        "reason": result.reason,
        "remedy": result.remedy,
        "found_m": None if result.found_m is None else dict(zip(("east", "north", "up"), result.found_m, strict=True)),
        "waves": [wave.describe() for wave in result.field.waves],
        "wave_left": None if result.wave_left is None else result.wave_left.describe(),
        "method": result.method.name,
        "convention": CONVENTION,
        "shift_m": {"east": _number(east), "north": _number(north), "up": _number(up)},
        "shift_standard_error_m": dict(zip(("east", "north", "up"), errors, strict=True)),
        "nmad_m": {
            "before": _number(first.nmad_m),
            "after": _number(last.nmad_m),
            "held_out": _number(checked.nmad_m) if checked else None,
            "held_out_2km_buffered": _number(result.blind_nmad_m),
        },
        "median_m": {
            "before": _number(first.median_m),
            "after": _number(last.median_m),
            "held_out": _number(checked.median_m) if checked else None,
        },
        "held_out": {key: _number(value) for key, value in asdict(checked).items()} if checked else None,
        "sample_count": result.sample_count,
        "iterations": result.iterations,
        "condition": _number(result.condition),
        "slope_spread": _number(result.slope_spread),
        "stiffness": result.stiffness,
        "polynomial_m": result.field.polynomial.tolist(),
        "block_shape": list(blocks.shape) if blocks else None,
        "block_status": dict(sorted(Counter(s.value for s in blocks.status).items())) if blocks else None,
        "blocks": blocks.to_dicts() if blocks else [],
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _draw(
    out: Path, result: Coregistration, sample: Sample, spreads: tuple[Spread, Spread], bias: HeightBias | None
) -> None:
    """All pictures; difference maps share one scale."""
    geobox, displacement = sample.geobox, sample.displacement_m
    first, last = spreads
    if first.values_m.size and last.values_m.size:
        limit = float(np.clip(3.0 * first.nmad_m, 0.5, 1000.0))
        for name, values, used in (("before", sample.before_m, first), ("after", sample.after_m, last)):
            title = f"{name}: {used}"
            figures.difference_map(out / f"dh_{name}.png", values, sample.stable, geobox, limit, title)
        figures.histogram(out / "histogram.png", first, last)
    for part, name in enumerate(("east", "north", "up")):
        title = f"shift {name}, mean {result.shift[part]:.2f} m"
        figures.shift_map(out / f"shift_{name}.png", displacement[part], result.blocks, geobox, title, part)
    figures.arrows(out / "arrows.png", result.blocks, displacement, geobox)
    if bias is not None and bias.notable:
        figures.by_height(out / "by_height.png", bias)
    else:
        (out / "by_height.png").unlink(missing_ok=True)
