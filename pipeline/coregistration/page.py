"""One self-contained HTML page of a coregistration: the numbers and the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from orograph.pipeline.core.page import facts, page, pictures

_PICTURES: Final = (
    ("dh_before.png", "Before"),
    ("dh_after.png", "After"),
    ("histogram.png", "Differences on stable terrain"),
    ("by_height.png", "Differences by height"),
    ("shift_east.png", "Shift east"),
    ("shift_north.png", "Shift north"),
    ("shift_up.png", "Shift up"),
    ("arrows.png", "Displacement"),
)


def write_page(path: Path, folder: Path, report: dict[str, Any]) -> None:
    """One HTML page with the numbers and the pictures inside it."""
    rows = [
        ("Status", report["status"] + (f": {report['reason']}" if report["reason"] else "")),
        ("Method", report["method"]),
        ("Shift east, north, up", ", ".join(_text(report["shift_m"][k]) for k in ("east", "north", "up")) + " m"),
        ("Axes", report["axes"]),
        *[("Wave removed", _wave(wave)) for wave in report["waves"]],
        ("NMAD before", f"{_text(report['nmad_m']['before'])} m"),
        ("NMAD after", f"{_text(report['nmad_m']['after'])} m"),
        ("NMAD held out, 500 m chequerboard", f"{_text(report['nmad_m']['held_out'])} m"),
        ("NMAD held out, 2 km cells with a buffer", f"{_text(report['nmad_m']['held_out_2km_buffered'])} m"),
        ("Median before, after", f"{_text(report['median_m']['before'])}, {_text(report['median_m']['after'])} m"),
        ("Pixels used", f"{report['sample_count']:,}"),
        ("Blocks", ", ".join(f"{n} {name}" for name, n in (report["block_status"] or {}).items()) or "none"),
        ("Seconds, wall (CPU)", ", ".join(f"{k} {v['wall']} ({v['cpu']})" for k, v in report["seconds"].items())),
        ("Convention", report["convention"]),
        *[("Note", note) for note in report["notes"]],
    ]
    body = facts(rows) + "<h2>Pictures</h2>" + pictures((folder / name, title) for name, title in _PICTURES)
    title = f"{report['inputs']['raster']} onto {report['inputs']['reference']}"
    path.write_text(page(title, body), encoding="utf-8")


def _text(value: float | None) -> str:
    return "not known" if value is None else f"{round(value, 2) + 0.0:.2f}"


def _wave(wave: dict[str, Any]) -> str:
    amplitude = ", ".join(f"{name} {value:.2f}" for name, value in wave["amplitude_m"].items())
    return f"{wave['wavelength_m']:,.0f} m at {wave['azimuth_deg']:.0f} degrees, amplitude {amplitude} m"
