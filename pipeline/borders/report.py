"""Reports of a comparison: one JSON, one picture per border, one page."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from orograph.pipeline.borders.compare import Border, Comparison
from orograph.pipeline.borders.solve import NetworkResult
from orograph.pipeline.core.canvas import TICK_PX, Axes, Box, Canvas, colour_bar
from orograph.pipeline.core.page import facts, page, pictures, table
from orograph.pipeline.core.painting import RED_BLUE, ramp
from orograph.pipeline.core.pictures import round_length

_COLUMNS: Final = (
    "border",
    "pixels",
    "median before",
    "median",
    "mean |d|",
    "NMAD",
    "20 points, mean |d|",
    "geoid - levelling",
    "routes",
)
_LEAD: Final = (
    "Differences, first minus second source, on flat terrain that both cover, in centimetres. OpenDEM Europe's twenty"
    " points met at 9.55 cm (NL/DE) and 11.30 cm (BE/NL) mean absolute difference."
)
PICTURE_POINTS: Final = 60_000
_MAP_PX: Final = 360
"""Height of a map."""


def write_report(comparison: Comparison, folder: Path, network: NetworkResult | None = None) -> dict[str, Any]:
    """Write `borders.json`, a PNG per border and `index.html`; returns the JSON document."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "target_frame": comparison.target_frame,
        "operations": {
            name: {
                "operation": operation.id,
                "steps": list(operation.labels),
                "accuracy_m": round(operation.accuracy_m, 4),
                "derived": operation.derived,
                "grids": {grid.name: grid.sha256 for grid in operation.grids},
            }
            for name, operation in sorted(comparison.operations.items())
        },
        "borders": [_described(border) for border in comparison.borders],
        "adjustment": None if network is None else _network(network),
    }
    for border in comparison.borders:
        draw_border(border, comparison.target_frame, folder / picture_name(border))
    (folder / "borders.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "index.html").write_text(_page(document, folder), encoding="utf-8")
    return document


def picture_name(border: Border) -> str:
    """File name of a border's picture."""
    return f"border-{border.a}-{border.b}.png"


def draw_border(border: Border, frame: str, path: Path) -> None:
    """A map and a histogram of a border's differences."""
    stride = max(1, len(border.places) // PICTURE_POINTS)
    places, values = border.places[::stride] / 1000, border.differences_m[::stride] * 100
    limit = max(1.0, float(np.percentile(np.abs(values), 98)))
    x, y, size = _extent(places)
    canvas = Canvas(size[0] + 620, size[1] + 142)
    canvas.text((canvas.width / 2, 16), f"{border.statistics.count:,} pixels of flat terrain in {frame}", TICK_PX)
    chart = Axes(canvas, Box(92, 72, 92 + size[0], 72 + size[1]), x, y)
    chart.dots(places[:, 0], places[:, 1], ramp(values, RED_BLUE, -limit, limit))
    chart.frame(border.name, "easting, km (EPSG:3035)", "northing, km")
    chart.scale_bar(round_length((x[1] - x[0]) * 1000 / 3.0), 0.001)
    bar = Box(chart.box.right + 14, chart.box.top + 12, chart.box.right + 30, chart.box.bottom - 12)
    colour_bar(canvas, bar, RED_BLUE, (-limit, limit), "difference, cm")
    _histogram(canvas, Box(chart.box.right + 140, 72, canvas.width - 20, 72 + size[1]), values, limit, border)
    canvas.save(path)


def _extent(places_km: Any) -> tuple[tuple[float, float], tuple[float, float], tuple[int, int]]:
    """Limits of a map along both axes, with room for the scale bar below, and its size in pixels."""
    (west, south), (east, north) = places_km.min(axis=0), places_km.max(axis=0)
    room = 0.04 * max(east - west, north - south, 1e-3)
    west, east, south, north = west - room, east + room, south - 3 * room, north + room
    width = int(np.clip(_MAP_PX * (east - west) / (north - south), 0.45 * _MAP_PX, 1.25 * _MAP_PX))
    height = _MAP_PX
    # The map keeps its proportions: the shorter side is widened to the frame's.
    wide = max(east - west, (north - south) * width / height)
    high = wide * height / width
    x, y = 0.5 * (west + east), 0.5 * (south + north)
    return (x - wide / 2, x + wide / 2), (y - high / 2, y + high / 2), (width, height)


def _histogram(canvas: Canvas, box: Box, values: Any, limit: float, border: Border) -> None:
    counts, edges = np.histogram(values, bins=61, range=(-1.5 * limit, 1.5 * limit))
    axes = Axes(canvas, box, (-1.5 * limit, 1.5 * limit), (0.0, 1.25 * max(1, int(counts.max()))))
    axes.bars(edges, counts, (107, 139, 164))
    figures = border.statistics
    median = float(np.clip(figures.median_m * 100, *axes.x))
    axes.curve(np.zeros(2), np.array(axes.y))
    axes.curve(np.full(2, median), np.array(axes.y), (192, 57, 43), 2)
    axes.frame("", f"{border.name}, cm")
    text = (
        f"median {figures.median_m * 100:+.2f} cm",
        f"mean |d| {figures.mean_absolute_m * 100:.2f} cm",
        f"NMAD {figures.nmad_m * 100:.2f} cm",
    )
    for k, line in enumerate(text):
        canvas.text((box.right - 8, box.top + 14 + 17 * k), line, TICK_PX, "rm")


def _described(border: Border) -> dict[str, Any]:
    routes = border.routes
    return {
        "a": border.a,
        "b": border.b,
        "picture": picture_name(border),
        "all_flat_ground": border.statistics.rounded(),
        "sample_of_20": border.sample.rounded(),
        "without_operations": border.before.rounded(),
        "two_routes": {
            "verdict": routes.verdict,
            "difference_m": None if routes.difference_m is None else round(routes.difference_m, 4),
            "spread_m": None if routes.spread_m is None else round(routes.spread_m, 4),
            "datum_uncertainty_m": None if routes.datum_uncertainty_m is None else round(routes.datum_uncertainty_m, 4),
            "reason": routes.reason,
        },
    }


def _network(network: NetworkResult) -> dict[str, Any]:
    return {
        "rms_before_m": round(network.rms_before_m, 4),
        "rms_after_m": round(network.rms_after_m, 4),
        "redundancy": network.redundancy,
        "sources": {name: adjustment.model_dump() for name, adjustment in network.adjustments.items()},
    }


def _page(document: dict[str, Any], folder: Path) -> str:
    rows, drawn = [], []
    for border in document["borders"]:
        figures, sample, raw = border["all_flat_ground"], border["sample_of_20"], border["without_operations"]
        routes = border["two_routes"]
        verdict = routes["verdict"] if routes["verdict"] != "impossible" else f"impossible: {routes['reason']}"
        cells = [
            f"{border['a']} / {border['b']}",
            f"{figures['count']:,}",
            f"{raw['median_m'] * 100:+.2f}",
            f"{figures['median_m'] * 100:+.2f}",
            f"{figures['mean_absolute_m'] * 100:.2f}",
            f"{figures['nmad_m'] * 100:.2f}",
            f"{sample['mean_absolute_m'] * 100:.2f}",
            "" if routes["difference_m"] is None else f"{routes['difference_m'] * 100:+.2f}",
            verdict,
        ]
        rows.append(cells)
        drawn.append((folder / border["picture"], f"{border['a']} / {border['b']}"))
    figures_table = table(_COLUMNS, rows, text_columns=(0, 8))
    operations = facts(
        (name, f"{operation['operation']}, standard deviation {operation['accuracy_m']} m")
        for name, operation in document["operations"].items()
    )
    body = (
        f"{figures_table}<h2>Operations</h2>{operations}"
        f"<h2>Network adjustment</h2>{_network_html(document['adjustment'])}"
        f"<h2>Maps</h2>{pictures(drawn, whole=True)}"
    )
    return page(f"Borders in {document['target_frame']}", body, lead=_LEAD)


def _network_html(network: dict[str, Any] | None) -> str:
    if network is None:
        return "<p>No adjustment was requested.</p>"
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{source['constant_m'] * 100:+.2f}</td>"
        f"<td>{source['sigma_m'] * 100:.2f}</td></tr>"
        for name, source in network["sources"].items()
    )
    return (
        f"<p>Weighted RMS of the blocks {network['rms_before_m'] * 100:.2f} cm before,"
        f" {network['rms_after_m'] * 100:.2f} cm after.</p>"
        f"<table><tr><th>source</th><th>correction, cm</th><th>sigma, cm</th></tr>{rows}</table>"
    )
