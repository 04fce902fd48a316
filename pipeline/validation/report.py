"""Figures of a validation as JSON, pictures and one self-contained HTML page."""

from __future__ import annotations

import html
import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from orograph.pipeline.core.page import page, pictures, table
from orograph.pipeline.validation.figures import AccuracyFigures
from orograph.pipeline.validation.validate import Validation

_DOTS: Final = 40_000
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
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawn = []
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        for name, caption, draw in (
            ("map.png", "Errors at the points (raster minus control)", _map),
            ("histogram.png", "Distribution of errors", _histogram),
            ("classes.png", "Errors by class: median, middle half and 90 % range", _boxes),
            ("coverage.png", "Stated against found: share of errors within k standard deviations", _coverage),
        ):
            if name == "coverage.png" and validation.overall.coverage_68 is None:
                continue
            figure = Figure(figsize=(7.0, 4.2), dpi=110, layout="constrained")
            draw(figure, validation)
            figure.savefig(folder / name)
            drawn.append((name, caption))
    return drawn


def _map(figure: Any, validation: Validation) -> None:
    axes = figure.subplots()
    step = max(1, validation.x.size // _DOTS)
    error = validation.error_m[::step]
    limit = max(float(np.percentile(np.abs(error), 95)), 1e-3)
    dots = axes.scatter(
        validation.x[::step], validation.y[::step], c=error, s=4, cmap="RdBu_r", vmin=-limit, vmax=limit, linewidths=0
    )
    axes.set(xlabel="longitude, degrees", ylabel="latitude, degrees")
    axes.set_aspect(1.0 / max(np.cos(np.radians(float(np.mean(validation.y)))), 0.05), adjustable="datalim")
    axes.ticklabel_format(useOffset=False)
    figure.colorbar(dots, ax=axes, label="error, m", shrink=0.85)


def _histogram(figure: Any, validation: Validation) -> None:
    axes = figure.subplots()
    figures = validation.overall
    limit = max(abs(figures.median_m) + 5 * figures.nmad_m, 1e-3)
    axes.hist(validation.error_m, bins=np.linspace(-limit, limit, 121).tolist(), color="#6b8ba4")
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.axvline(figures.median_m, color="#c0392b", linewidth=1.5)
    axes.set(xlabel="raster - control, m", ylabel="points")
    text = f"median {figures.median_m:+.3f} m\nNMAD {figures.nmad_m:.3f} m\nRMSE {figures.rmse_m:.3f} m\nLE90 {figures.le90_m:.3f} m"
    axes.text(0.98, 0.97, text, transform=axes.transAxes, ha="right", va="top")


def _boxes(figure: Any, validation: Validation) -> None:
    axes = figure.subplots()
    names: list[str] = []
    boxes: list[dict[str, Any]] = []
    values = {"slope": validation.slope_deg}
    edges = np.percentile(values["slope"][np.isfinite(values["slope"])], (0, 20, 40, 60, 80, 100))
    for low, high in pairwise(edges):
        chosen = validation.error_m[(validation.slope_deg >= low) & (validation.slope_deg <= high)]
        if chosen.size:
            names.append(f"slope\n{low:.0f} to {high:.0f}°")
            boxes.append(_box(chosen))
    for name in dict.fromkeys(n for n in validation.cover if n):
        chosen = validation.error_m[validation.cover == name]
        if chosen.size >= 3 and len(boxes) < 12:
            names.append(str(name))
            boxes.append(_box(chosen))
    axes.bxp(boxes, showfliers=False)
    axes.set_xticks(range(1, len(names) + 1), names, fontsize=7)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set_ylabel("raster - control, m")


def _box(values: Any) -> dict[str, Any]:
    low, q1, median, q3, high = (float(v) for v in np.percentile(values, (5, 25, 50, 75, 95)))
    return {"whislo": low, "q1": q1, "med": median, "q3": q3, "whishi": high}


def _coverage(figure: Any, validation: Validation) -> None:
    from scipy.stats import norm

    axes = figure.subplots()
    known = np.isfinite(validation.sigma_m) & (validation.sigma_m > 0)
    ratio = np.abs(validation.error_m[known]) / validation.sigma_m[known]
    k = np.linspace(0.0, 4.0, 81)
    axes.plot(k, 2 * norm.cdf(k) - 1, color="black", linewidth=0.8, label="as stated (normal)")
    axes.plot(k, [float(np.mean(ratio <= v)) for v in k], color="#c0392b", label="found")
    axes.set(xlabel="k standard deviations", ylabel="share of errors within", ylim=(0, 1))
    axes.legend(frameon=False)


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
