"""Figures of a validation as JSON, pictures and one self-contained HTML page."""

from __future__ import annotations

import html
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from orograph.pipeline.core.canvas import BLACK, TICK_PX, Axes, Box, Canvas, colour_bar
from orograph.pipeline.core.page import page, pictures, table
from orograph.pipeline.core.painting import RED_BLUE, ramp
from orograph.pipeline.validation.figures import AccuracyFigures
from orograph.pipeline.validation.validate import Validation

_DOTS: Final = 40_000
_SIZE: Final = (770, 462)
_INSIDE: Final = Box(92, 22, 748, 402)
_RED: Final = (192, 57, 43)
_LONGEST_NAME: Final = 18
_KINDS: Final = {
    "slope": "Slope",
    "aspect": "Aspect",
    "cover": "Land cover",
    "source": "Source",
    "border": "Distance to a border between sources",
}


def write_validation(validation: Validation, folder: Path, *, pictures: bool = True) -> dict[str, Any]:
    """Write `validation.json`, `errors.csv`, pictures and `index.html`; returns the JSON document.

    Control points that could not be compared go to `left_out.csv`, each with its reason.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = validation.document()
    (folder / "validation.json").write_text(
        json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    _write_errors(validation, folder / "errors.csv")
    if validation.left_out:
        lines = [f'{x:.7f},{y:.7f},"{reason}"' for x, y, reason in validation.left_out]
        (folder / "left_out.csv").write_text("\n".join(["lon,lat,reason", *lines]) + "\n", encoding="utf-8")
    drawn = _draw(validation, folder) if pictures else []
    (folder / "index.html").write_text(_page(validation, folder, drawn), encoding="utf-8")
    return document


def _write_errors(validation: Validation, path: Path) -> None:
    """One line per point: where, how far off, and its classes."""
    lines = ["lon,lat,error_m,height_m,slope_deg,sigma_m,cover,source"]
    columns = (
        validation.x,
        validation.y,
        validation.error_m,
        validation.height_m,
        validation.slope_deg,
        validation.sigma_m,
    )
    for values, cover, source in zip(np.stack(columns, axis=1), validation.cover, validation.source, strict=True):
        numbers = [
            "" if not np.isfinite(v) else f"{v:.{digits}f}"
            for v, digits in zip(values, (7, 7, 4, 4, 2, 4), strict=True)
        ]
        lines.append(",".join([*numbers, str(cover).replace(",", " "), str(source)]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _draw(validation: Validation, folder: Path) -> list[tuple[str, str]]:
    """All pictures; file names and captions."""
    drawn = []
    for name, caption, draw in (
        ("map.png", "Errors at the points (raster minus control)", _map),
        ("histogram.png", "Distribution of errors", _histogram),
        ("classes.png", "Errors by class: median, middle half and 90 % range", _boxes),
        ("coverage.png", "Stated against found: share of errors within k standard deviations", _coverage),
    ):
        if name == "coverage.png" and validation.overall.coverage_68 is None:
            continue
        canvas = Canvas(*_SIZE)
        draw(canvas, validation)
        canvas.save(folder / name)
        drawn.append((name, caption))
    return drawn


def _map(canvas: Canvas, validation: Validation) -> None:
    step = max(1, validation.x.size // _DOTS)
    error, x, y = (part[::step] for part in (validation.error_m, validation.x, validation.y))
    limit = max(float(np.percentile(np.abs(error), 95)), 1e-3)
    box = Box(_INSIDE.left, _INSIDE.top, _INSIDE.right - 100, _INSIDE.bottom)
    narrow = max(float(np.cos(np.radians(np.mean(y)))), 0.05)
    high = 1.1 * max(float(np.ptp(y)), float(np.ptp(x)) * narrow * box.height / box.width, 1e-6)
    wide = high * box.width / box.height / narrow
    east, north = 0.5 * float(x.min() + x.max()), 0.5 * float(y.min() + y.max())
    axes = Axes(canvas, box, (east - wide / 2, east + wide / 2), (north - high / 2, north + high / 2))
    axes.dots(x, y, ramp(error, RED_BLUE, -limit, limit), size=3)
    axes.frame("", "longitude, degrees", "latitude, degrees")
    bar = Box(box.right + 14, box.top + 20, box.right + 30, box.bottom - 20)
    colour_bar(canvas, bar, RED_BLUE, (-limit, limit), "error, m")


def _histogram(canvas: Canvas, validation: Validation) -> None:
    figures = validation.overall
    limit = max(abs(figures.median_m) + 5 * figures.nmad_m, 1e-3)
    edges = np.linspace(-limit, limit, 121)
    counts = np.histogram(validation.error_m, bins=edges)[0]
    axes = Axes(canvas, _INSIDE, (-limit, limit), (0.0, 1.1 * max(1, int(counts.max()))))
    axes.bars(edges, counts, (107, 139, 164))
    axes.curve(np.zeros(2), np.array(axes.y))
    axes.curve(np.full(2, figures.median_m), np.array(axes.y), _RED, 2)
    axes.frame("", "raster - control, m", "points")
    text = (
        f"median {figures.median_m:+.3f} m",
        f"NMAD {figures.nmad_m:.3f} m",
        f"RMSE {figures.rmse_m:.3f} m",
        f"LE90 {figures.le90_m:.3f} m",
    )
    for k, line in enumerate(text):
        canvas.text((_INSIDE.right - 8, _INSIDE.top + 14 + 17 * k), line, TICK_PX, "rm")


def _boxes(canvas: Canvas, validation: Validation) -> None:
    boxes: list[tuple[str, str, tuple[float, ...]]] = []
    known = validation.slope_deg[np.isfinite(validation.slope_deg)]
    for low, high in pairwise(np.percentile(known, (0, 20, 40, 60, 80, 100)) if known.size else ()):
        chosen = validation.error_m[(validation.slope_deg >= low) & (validation.slope_deg <= high)]
        if chosen.size:
            boxes.append(("slope", f"{low:.0f} to {high:.0f}°", _five(chosen)))
    for name in dict.fromkeys(n for n in validation.cover if n):
        chosen = validation.error_m[validation.cover == name]
        if chosen.size >= 3 and len(boxes) < 12:
            boxes.append(("", str(name), _five(chosen)))
    ends = [0.0, *(value for _, _, five in boxes for value in five)]
    room = 0.05 * max(max(ends) - min(ends), 1e-3)
    axes = Axes(canvas, _INSIDE, (0.0, max(1, len(boxes))), (min(ends) - room, max(ends) + room))
    axes.curve(np.array(axes.x), np.zeros(2))
    for k, (kind, name, five) in enumerate(boxes):
        low, q1, median, q3, high = five
        middle = k + 0.5
        for end, near in ((low, q1), (high, q3)):
            axes.curve(np.full(2, middle), np.array([near, end]))
            axes.curve(np.array([middle - 0.12, middle + 0.12]), np.full(2, end))
        corners = np.array([-0.25, 0.25, 0.25, -0.25, -0.25]) + middle
        axes.curve(corners, np.array([q1, q1, q3, q3, q1]))
        axes.curve(np.array([middle - 0.25, middle + 0.25]), np.full(2, median), _RED, 2)
        at = float(axes.at(middle, 0.0)[0])
        for line, text in enumerate(part for part in (kind, name) if part):
            canvas.text((at, _INSIDE.bottom + 12 + 15 * line), text[:_LONGEST_NAME], TICK_PX)
    axes.frame("", "", "raster - control, m")


def _five(values: Any) -> tuple[float, ...]:
    """The 5th, 25th, 50th, 75th and 95th percentile."""
    return tuple(float(v) for v in np.percentile(values, (5, 25, 50, 75, 95)))


def _coverage(canvas: Canvas, validation: Validation) -> None:
    known = np.isfinite(validation.sigma_m) & (validation.sigma_m > 0)
    ratio = np.abs(validation.error_m[known]) / validation.sigma_m[known]
    k = np.linspace(0.0, 4.0, 81)
    axes = Axes(canvas, _INSIDE, (0.0, 4.0), (0.0, 1.0))
    lines = (
        ("as stated (normal)", [math.erf(v / math.sqrt(2.0)) for v in k], BLACK, 1),
        ("found", [float(np.mean(ratio <= v)) for v in k], _RED, 2),
    )
    for number, (name, shares, colour, width) in enumerate(lines):
        axes.curve(k, np.array(shares), colour, width)
        y = _INSIDE.bottom - 40 + 18 * number
        canvas.line([(_INSIDE.right - 170, y), (_INSIDE.right - 145, y)], colour, width)
        canvas.text((_INSIDE.right - 138, y), name, TICK_PX, "lm")
    axes.frame("", "k standard deviations", "share of errors within")


def _page(validation: Validation, folder: Path, drawn: list[tuple[str, str]]) -> str:
    tables = "".join(
        f"<h2>{_KINDS[kind]}</h2>{_table(classes)}" for kind, classes in validation.classes.items() if classes
    )
    names = validation.rasters[0] if len(validation.rasters) == 1 else f"{len(validation.rasters)} rasters"
    lead = (
        f"Heights compared in {validation.frame}; the control came from {validation.control_frame} by"
        f" {validation.operation} (standard deviation {validation.operation_accuracy_m:.3f} m). Errors are raster minus"
        " control, in metres."
    )
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in validation.notes)
    body = (
        f"<ul>{notes}</ul><h2>Overall</h2>{_table({'all points': validation.overall})}{tables}"
        f"<h2>Pictures</h2>{pictures((folder / name, caption) for name, caption in drawn)}"
    )
    return page(f"{names} against {validation.control}", body, lead=lead)


def _table(classes: dict[str, AccuracyFigures]) -> str:
    """A table of figures, metres and percent."""
    rows = [
        (
            name,
            f"{f.count:,}",
            *(f"{v:.3f}" for v in (f.median_m, f.mean_m, f.nmad_m, f.rmse_m, f.le90_m, f.largest_m)),
            *("" if v is None else f"{v:.1%}" for v in (f.coverage_68, f.coverage_95)),
        )
        for name, f in classes.items()
    ]
    head = ("", "points", "median", "mean", "NMAD", "RMSE", "LE90", "largest", "within 1 sigma", "within 1.96 sigma")
    return table(head, rows)
