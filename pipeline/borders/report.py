"""Reports of a comparison: one JSON, one picture per border, one page."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from orograph.pipeline.borders.compare import Border, Comparison
from orograph.pipeline.borders.solve import NetworkResult
from orograph.pipeline.core.page import facts, page, pictures, table
from orograph.pipeline.core.pictures import scale_bar

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
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        stride = max(1, len(border.places) // PICTURE_POINTS)
        places, values = border.places[::stride] / 1000, border.differences_m[::stride] * 100
        figure = Figure(figsize=(9.0, 4.0), dpi=120, layout="constrained")
        chart, bars = figure.subplots(1, 2, width_ratios=(_map_width(places), 1))
        limit = max(1.0, float(np.percentile(np.abs(values), 98)))
        dots = chart.scatter(
            places[:, 0], places[:, 1], c=values, s=2, cmap="RdBu_r", vmin=-limit, vmax=limit, linewidths=0
        )
        chart.set(aspect="equal", xlabel="easting, km (EPSG:3035)", ylabel="northing, km", title=border.name)
        chart.ticklabel_format(useOffset=False)
        low, high = chart.get_ylim()
        chart.set_ylim(low - 0.08 * (high - low), high)  # room for the scale bar below the border
        width_km = chart.get_xlim()[1] - chart.get_xlim()[0]
        scale_bar(chart, width_km * 1000, 0.001)
        figure.colorbar(dots, ax=chart, label="difference, cm", shrink=0.85)
        _histogram(bars, values, limit, border)
        figure.suptitle(f"{border.statistics.count:,} pixels of flat terrain in {frame}", fontsize=9)
        figure.savefig(path)


def _map_width(places_km: Any) -> float:
    """Width of the map compared with the histogram: narrow for a border from north to south."""
    wide, high = np.ptp(places_km, axis=0)
    return float(np.clip(wide / max(high, 1e-3), 0.45, 1.25))


def _histogram(axes: Any, values: Any, limit: float, border: Border) -> None:
    axes.hist(values, bins=61, range=(-1.5 * limit, 1.5 * limit), color="#6b8ba4")
    median = border.statistics.median_m * 100
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvline(median, color="#c0392b", linewidth=1.5)
    axes.set(xlabel=f"{border.name}, cm", yticks=[])
    axes.spines["left"].set_visible(False)
    figures = border.statistics
    text = (
        f"median {median:+.2f} cm\nmean |d| {figures.mean_absolute_m * 100:.2f} cm\nNMAD {figures.nmad_m * 100:.2f} cm"
    )
    axes.text(0.98, 0.97, text, transform=axes.transAxes, ha="right", va="top")


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
