"""A run's report as one self-contained HTML page without scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from orograph.pipeline.core.page import facts as fact_list
from orograph.pipeline.core.page import page


def html_of(report: Mapping[str, Any]) -> str:
    """The page of a report as `Journal.report` makes it; all values are escaped."""
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
        f"{note}{listed}<h2>Time by stage</h2>{_stages(report['stages'])}"
        f"{_reads(report.get('reads', {}))}"
        f"<h2>Failures</h2>{_failures(report['failures'])}<h2>Tiles</h2>{_tiles(report['ended'])}"
    )
    return page(f"Run {report['run']}", body)


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
