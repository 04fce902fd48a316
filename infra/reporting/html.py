"""A run's report as one self-contained HTML page without scripts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from orograph.infra.reporting.tile_pictures import Panel, TilePictures
from orograph.pipeline.core.page import facts as fact_list
from orograph.pipeline.core.page import page
from orograph.pipeline.core.pictures import round_length


def html_of(report: Mapping[str, Any], pictures: Sequence[TilePictures] = ()) -> str:
    """The page of a report as `Journal.report` makes it, with pictures; all values are escaped."""
    tiles = report["tiles"]
    facts = {
        "Engine": f"{report['engine']}, {report['workers']} workers",
        "Started": report["started"],
        "Took": _duration(report["wall_seconds"]),
        "Tiles made": tiles["done"],
        "Up to date already": tiles["up-to-date"],
        "Failed": tiles["failed"],
        "Quarantined": tiles["quarantined"],
        "Planned": tiles["planned"],
        "Attempts repeated": report["retries"],
        "Read": _size(report["bytes_read"]),
        "Written": _size(report["bytes_written"]),
        "Workers busy": None if report["busy_fraction"] is None else f"{report['busy_fraction']:.0%}",
        "Largest worker": f"{report['peak_rss_mb']['max']:.0f} MB" if report["peak_rss_mb"] else None,
        "Estimated cost": report["cost"],
    }
    listed = fact_list((name, value) for name, value in facts.items() if value is not None)
    note = "<p class=bad>The run was interrupted; the same command resumes it.</p>" if report["interrupted"] else ""
    body = (
        f"{note}{listed}{_pictures(pictures)}<h2>Time by stage</h2>{_stages(report['stages'])}"
        f"{_reads(report.get('reads', {}))}"
        f"<h2>Failures</h2>{_failures(report['failures'])}<h2>Tiles</h2>{_tiles(report['ended'])}"
    )
    return page(f"Run {report['run']}", body)


def _pictures(pictures: Sequence[TilePictures]) -> str:
    """Before, after and difference; heights as delivered are in their own vertical datum."""
    rows = "".join(
        f"<h3>{escape(one.tile)}</h3><div class=maps>{''.join(_map(panel, one.width_m) for panel in one.panels)}</div>"
        for one in pictures
    )
    return f"<h2>Terrain</h2>{rows}" if rows else ""


def _map(panel: Panel, width_m: float) -> str:
    """A picture with a scale bar, and a legend in metres."""
    bar_m = round_length(width_m / 3)
    length = f"{bar_m / 1000:g} km" if bar_m >= 1000 else f"{bar_m:g} m"
    image = base64.b64encode(panel.image).decode()
    colours = ",".join(f"rgb{stop}".replace(" ", "") for stop in panel.stops)
    digits = 0 if panel.high - panel.low > 10 else 1
    low, high = (f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}") for value in (panel.low, panel.high))
    title = escape(panel.title)
    return (
        f'<figure><div class=map><img alt="{title}" src="data:image/webp;base64,{image}">'
        f'<span class=scale style="width:{100 * bar_m / width_m:.1f}%">{length}</span></div>'
        f'<div class=legend><span>{low}</span><i style="background:linear-gradient(90deg,{colours})"></i>'
        f"<span>{high} m</span></div><figcaption>{title}</figcaption></figure>"
    )


def _stages(stages: Mapping[str, Mapping[str, float]]) -> str:
    if not stages:
        return "<p>No tile was made.</p>"
    longest = max(entry["total"] for entry in stages.values()) or 1.0
    rows = (
        f"<tr><td>{escape(name)}</td><td class=n>{entry['total']:.1f} s</td><td class=n>{entry['median']:.2f} s</td>"
        f"<td class=n>{entry['p95']:.2f} s</td><td class=n>{entry['cpu_total']:.1f} s</td>"
        f'<td style="width:40%"><div class=bar style="width:{100 * entry["total"] / longest:.1f}%"></div></td></tr>'
        for name, entry in stages.items()
    )
    head = "<th>Stage<th class=n>all tiles<th class=n>median<th class=n>95 %<th class=n>CPU<th>"
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _reads(reads: Mapping[str, Mapping[str, int]]) -> str:
    """Table of remote sources; empty for a run without any."""
    if not reads:
        return ""
    rows = (
        f"<tr><td>{escape(source)}</td><td class=n>{counts['requests']}</td><td class=n>{_size(counts['bytes_fetched'])}</td>"
        f"<td class=n>{_size(counts['bytes_needed'])}</td><td class=n>{counts['cache_hits']}</td>"
        f"<td class=n>{_size(counts['cache_bytes'])}</td></tr>"
        for source, counts in reads.items()
    )
    head = "<th>Source<th class=n>requests<th class=n>fetched<th class=n>needed<th class=n>cache hits<th class=n>from the cache"
    return f"<h2>Remote sources</h2><table><tr>{head}</tr>{''.join(rows)}</table>"


def _failures(failures: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        f"<tr><td>{escape(entry['tile'])}</td><td class=bad>{escape(entry['error'])}</td>"
        f"<td>{escape(str(entry.get('stage', '')))}</td><td>{escape(entry['message'])}</td>"
        f"<td>{escape(str(entry.get('remedy', '')))}</td></tr>"
        for entry in failures
    ]
    if not rows:
        return "<p>None.</p>"
    return f"<table><tr><th>Tile<th>Error<th>Stage<th>What<th>What to do</tr>{''.join(rows)}</table>"


def _tiles(ended: Iterable[Mapping[str, Any]]) -> str:
    rows = (
        f"<tr><td>{escape(entry['tile'])}</td><td>{escape(entry['status'])}</td><td class=n>{entry['attempts']}</td>"
        f"<td class=n>{sum(entry.get('seconds', {}).values()):.1f} s</td>"
        f"<td class=n>{_size(entry.get('bytes_written', 0))}</td>"
        f"<td class=n>{entry.get('peak_rss_mb', 0):.0f} MB</td></tr>"
        for entry in ended
    )
    head = "<th>Tile<th>End<th class=n>attempts<th class=n>took<th class=n>written<th class=n>peak memory"
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
