"""The report of an ingest as one HTML page: the result for each delivered file, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orograph.pipeline.core.page import facts, page, table

_ORDER: Final = ("rejected", "converted", "kept", "ignored")


def ingest_page(report: Mapping[str, Any]) -> str:
    """The page of a report as `Ingested.to_dict` makes it; rejected files come first."""
    files = sorted(report["files"], key=lambda entry: _ORDER.index(entry["status"]))
    counts = facts((name.capitalize(), report[name]) for name in _ORDER)
    rejected = [entry for entry in files if entry["status"] == "rejected"]
    faults = table(
        ("File", "Reason", "What to do"),
        [(entry["file"], entry["reason"], entry["remedy"] or "") for entry in rejected],
        text_columns=(0, 1, 2),
    )
    read = [entry for entry in files if entry["key"] is not None]
    body = f"{counts}<h2>Rejected</h2>{faults if rejected else '<p>None.</p>'}<h2>Rasters</h2>{_rasters(read)}"
    suspicious = [(entry["file"], text) for entry in read for text in entry["suspicious"]]
    if suspicious:
        body += f"<h2>Suspicious samples</h2>{table(('File', 'Finding'), suspicious, text_columns=(0, 1))}"
    ignored = [entry for entry in files if entry["status"] == "ignored"]
    if ignored:
        rows = [(entry["file"], entry["reason"] or "") for entry in ignored]
        body += f"<h2>Ignored</h2>{table(('File', 'Reason'), rows, text_columns=(0, 1))}"
    return page(f"Ingest of {report['source']}", body, lead="Delivered files, and the COGs made of them.")


def _rasters(read: list[Mapping[str, Any]]) -> str:
    head = ("File", "Status", "Format", "Pixels", "Heights, m", "Void", "nodata", "CRS, by", "Vertical, by", "MB", "s")
    return table(head, [_row(entry) for entry in read], text_columns=(0, 1, 2, 6, 7, 8))


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    known = entry["facts"]
    by = known.get("said_by", {})
    nodata = ", ".join(map(str, known.get("nodata", []))) or "none"
    return (
        entry["file"],
        entry["status"],
        entry["format"] or "",
        " x ".join(f"{size:g}" for size in known.get("pixel_size", [])),
        f"{entry['low_m']:.2f} to {entry['high_m']:.2f}",
        f"{entry['void_share']:.1%}",
        f"{nodata} ({by.get('nodata', '')})",
        f"{_short(known.get('horizontal_crs'))} ({by.get('horizontal_crs', '')})",
        f"{_short(known.get('vertical_frame'))} ({by.get('vertical_frame', '')})",
        f"{entry['size_bytes'] / 1e6:.2f}",
        f"{entry['seconds']:.1f}",
    )


def _short(text: str | None) -> str:
    return "not stated" if text is None else text if len(text) <= 40 else f"{text[:37]}..."
