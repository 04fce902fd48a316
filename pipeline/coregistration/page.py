"""One self-contained HTML page of a coregistration: the numbers and the pictures."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import Any, Final

_PICTURES: Final = (
    ("dh_before.png", "Before"),
    ("dh_after.png", "After"),
    ("histogram.png", "Differences on stable ground"),
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
    table = "\n".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows)
    images = "\n".join(_picture(folder / name, title) for name, title in _PICTURES if (folder / name).is_file())
    title = f"{report['inputs']['raster']} onto {report['inputs']['reference']}"
    path.write_text(_PAGE.format(title=html.escape(title), table=table, images=images), encoding="utf-8")


def _text(value: float | None) -> str:
    return "not known" if value is None else f"{round(value, 2) + 0.0:.2f}"


def _wave(wave: dict[str, Any]) -> str:
    amplitude = ", ".join(f"{name} {value:.2f}" for name, value in wave["amplitude_m"].items())
    return f"{wave['wavelength_m']:,.0f} m at {wave['azimuth_deg']:.0f} degrees, amplitude {amplitude} m"


def _picture(path: Path, title: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    escaped = html.escape(title)
    return (
        f'<figure><img alt="{escaped}" src="data:image/png;base64,{data}"><figcaption>{escaped}</figcaption></figure>'
    )


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title>
<style>
body{{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem;color:#1b1b1b;background:#fff}}
table{{border-collapse:collapse;margin-bottom:1.5rem}}
th{{text-align:left;font-weight:600;padding:.2rem 1.2rem .2rem 0;vertical-align:top;white-space:nowrap}}
td{{padding:.2rem 0;font-variant-numeric:tabular-nums}}
main{{display:grid;grid-template-columns:repeat(auto-fit,minmax(340px,1fr));gap:1rem}}
figure{{margin:0}} img{{width:100%;height:auto;border:1px solid #ddd}} figcaption{{color:#555;font-size:.9em}}
</style></head><body><h1>{title}</h1>
<table>
{table}
</table>
<main>
{images}
</main></body></html>
"""
