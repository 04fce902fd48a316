"""Pictures of the results: throughput by batch, and tiles per minute by actors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def throughput(found: dict[str, Any], path: Path) -> None:
    """Output pixels per second by batch, one line per network and precision."""
    lines = {name: rows for name, rows in found.items() if isinstance(rows, list) and rows}
    if not lines:
        return
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name, rows in lines.items():
        axes.plot([row["batch"] for row in rows], [row["gpx_s"] for row in rows], marker="o", label=name)
    axes.set(xlabel="blocks per batch", ylabel="output Gpx/s", xscale="log")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def variants(found: dict[str, Any], path: Path) -> None:
    """Output pixels per second of each way to run the network, with the rms difference to float32."""
    rows = {name: row for name, row in found.items() if isinstance(row, dict) and "gpx_s" in row}
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(8, 1.0 + 0.32 * len(rows)), layout="constrained")
    bars = axes.barh(list(rows), [row["gpx_s"] for row in rows.values()])
    axes.bar_label(bars, [f"{row['rms_mm']:.2g} mm" for row in rows.values()], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set(xlabel="output Gpx/s; labels: rms difference to float32")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def tiles(found: dict[str, Any], path: Path) -> None:
    """Tiles per minute and GPU busy by number of actors."""
    rows = {name: row for name, row in found.items() if isinstance(row, dict) and "tiles_per_minute" in row}
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    bars = axes.bar(list(rows), [row["tiles_per_minute"] for row in rows.values()])
    labels = [f"GPU {row['gpu_busy']:.0%}" if "gpu_busy" in row else "" for row in rows.values()]
    axes.bar_label(bars, labels)
    axes.set(ylabel="tiles per minute")
    figure.savefig(path, dpi=120)
    plt.close(figure)
