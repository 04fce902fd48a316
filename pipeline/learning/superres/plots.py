"""Pictures of an evaluation and of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from orograph.pipeline.core.page import page, pictures, table
from orograph.pipeline.core.painting import MAGMA
from orograph.pipeline.core.pictures import draw_map
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import StoreUnwritable
from orograph.pipeline.learning.superres.evaluate import EvaluationTile

_SHOWN: Final = 98.0
"""Percentile of the absolute error at which the colour scale ends."""
_MOST_MAPS: Final = 24
_COARSE: Final = ("nearest", "bilinear")
"""Interpolants that set no scale of gains."""


class MapWriter:
    """Draws a map of |original - derived| for every method and tile; call it as `evaluate`'s listener."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._scale: dict[str, float] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnwritable(f"cannot make {folder}: {error}") from error

    def __call__(self, method: str, tile: EvaluationTile, fine_m: FloatArray) -> None:
        """Draw one map; the scale of a tile is that of its first method, so that maps compare."""
        error = np.abs(fine_m - tile.fine_m)
        scale = self._scale.setdefault(tile.name, float(np.nanpercentile(error, _SHOWN)) or 1.0)
        rmse = float(np.sqrt(np.nanmean(np.square(error))))
        stem = f"{tile.name} {method}".replace(" ", "_").replace(",", "_").replace("/", "_")
        title = f"{tile.name}: {method}, RMSE {rmse:.2f} m"
        path = self.folder / f"{stem}.png"
        draw_map(path, error, tile.pixel_size_m, title, (MAGMA, 0.0, scale), "|original - derived|, m")


def plot_gains(report: dict[str, Any], path: Path) -> None:
    """Bars of the gain in RMSE, MAE and slope RMSE over GDAL's cubic, by method."""
    from matplotlib.figure import Figure

    methods = list(report["methods"])
    kinds = (("gain_rmse_percent", "RMSE"), ("gain_mae_percent", "MAE"), ("gain_slope_rmse_percent", "slope RMSE"))
    figure = Figure(figsize=(8, 0.45 * len(methods) + 1.5), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(methods))
    gains = np.array([[report["methods"][method][key] for method in methods] for key, _ in kinds])
    # Nearest neighbour loses many times as much as the others gain: bars end at a limit, with the figure on them.
    others = np.abs(gains[:, [method not in _COARSE for method in methods]])
    limit = max(1.0, 1.3 * float(others.max(initial=0.0)))
    for k, (_, label) in enumerate(kinds):
        at = places + (k - 1) * 0.27
        axes.barh(at, np.clip(gains[k], -limit, limit), 0.25, label=label)
        for y, gain in zip(at, gains[k], strict=True):
            if abs(gain) > limit:
                place = 0.98 * np.copysign(limit, gain)
                side = "left" if gain < 0 else "right"
                axes.text(place, y, f"{gain:+.0f} %", va="center", ha=side, fontsize=6, color="white")
    axes.set_xlim(-limit, limit)
    axes.set_yticks(places, methods)
    axes.invert_yaxis()
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_xlabel("gain over GDAL cubic (%)")
    axes.set_title(f"x{report['factor']} {report['thinning']}, {report['pixels']} pixels", fontsize=10)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def write_evaluation_page(report: dict[str, Any], folder: Path) -> Path:
    """Write `report.html`: figures, gains, and the first maps of errors, in one file; returns its path."""
    columns = (
        ("rmse_m", "RMSE, m"), ("mae_m", "MAE, m"), ("gain_rmse_percent", "RMSE gain, %"), ("gain_mae_percent", "MAE gain, %"),
    )  # fmt: skip
    rows = [
        (name, *(f"{figures[key]:.3f}" if key in figures else "" for key, _ in columns))
        for name, figures in report["methods"].items()
    ]
    maps = [(path, path.stem.replace("_", " ")) for path in sorted(folder.glob("*.png")) if path.stem != "gains"]
    body = "".join(
        (
            table(("Method", *(title for _, title in columns)), rows),
            pictures([(folder / "gains.png", "Gains over GDAL's cubic")], whole=True),
            pictures(maps[:_MOST_MAPS]),
        )
    )
    lead = (
        f"Measured heights, {report['thinning']} by {report['factor']} and reconstructed; {report['pixels']:,} pixels."
    )
    path = folder / "report.html"
    path.write_text(page("Interpolants and networks compared", body, lead=lead), encoding="utf-8")
    return path


def plot_curves(rows: Sequence[dict[str, float]], path: Path) -> None:
    """Plot the relative squared training error by mode, and the gains on held-out terrain, over steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = [row["step"] for row in rows]
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name, np.nan) for row in rows]
        if name.startswith("relative_mse_"):
            left.plot(steps, values, label=name.removeprefix("relative_mse_"))
        elif name.startswith("gain_"):
            right.plot(steps, values, label=name.removeprefix("gain_"))
    left.set_title("squared error relative to the base, training", fontsize=9)
    right.set_title("gain over GDAL cubic in RMSE (%), held-out sites", fontsize=9)
    for axes in (left, right):
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)
