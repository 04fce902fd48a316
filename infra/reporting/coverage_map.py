"""Map of a catalogue's coverage by resolution and licence, as PNG, SVG or self-contained HTML."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.sources.catalogue import Source

LAND: Final = Path(__file__).parents[1] / "service/static/land.json"
_CLASSES: Final = ((1.0, "up to 1 m", "#08519c"), (5.0, "up to 5 m", "#3182bd"), (20.0, "up to 20 m", "#9ecae1"))
_COARSER: Final = ("coarser", "#deebf7")
_LICENCES: Final[tuple[tuple[str, Any], ...]] = (("CC0", "-"), ("CC-BY", "--"), ("DL-DE", "-."))
_VIEW: Final = (-25.0, 33.0, 45.0, 72.0)


def draw_coverage(sources: Sequence[Source], path: Path) -> None:
    """Draw the boxes of sources over land: colour by resolution, line by licence, coarse ones below.

    Args:
        sources: Sources; worldwide sources are left out.
        path: File to write, `.png`, `.svg` or `.html`.

    Raises:
        ConfigError: the file has another suffix.
    """
    suffix = path.suffix.lower()
    if suffix not in {".png", ".svg", ".html"}:
        raise ConfigError(f"the map must end in .png, .svg or .html, got {path.name}")
    local = sorted((s for s in sources if s.country != "GLOBAL"), key=lambda s: -s.resolution_m)
    figure = _figure(local)
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png" if suffix == ".png" else "svg", dpi=110, metadata={})
    data = buffer.getvalue()
    if suffix == ".html":
        svg = data.decode()
        data = _page(svg[svg.index("<svg") :], local).encode()
    path.write_bytes(data)


def _figure(sources: Sequence[Source]) -> Any:
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch, Rectangle

    figure = Figure(figsize=(11, 9.5), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#f4f7fa")
    axes.add_collection(PolyCollection(_land_rings(), facecolor="#e3e0d8", edgecolor="#999999", linewidth=0.4))
    for source in sources:
        west, south, east, north = source.area_deg
        box = Rectangle((west, south), east - west, north - south, facecolor=_colour(source), alpha=0.35, linewidth=0)
        axes.add_patch(box)
        edge = Rectangle((west, south), east - west, north - south, fill=False, edgecolor="#333333")
        edge.set_linewidth(0.7)
        edge.set_linestyle(_line(source))
        axes.add_patch(edge)
    axes.set_xlim(_VIEW[0], _VIEW[2])
    axes.set_ylim(_VIEW[1], _VIEW[3])
    axes.set_aspect(1.75)
    axes.set_xlabel("longitude, degrees")
    axes.set_ylabel("latitude, degrees")
    axes.set_title(f"Areas (boxes) of {len(sources)} sources")
    classes = [*((label, colour) for _, label, colour in _CLASSES), _COARSER]
    handles: list[Any] = [Patch(facecolor=colour, alpha=0.6, label=label) for label, colour in classes]
    handles += [Line2D([], [], color="#333333", linestyle=style, label=name) for name, style in _LICENCES]
    handles.append(Line2D([], [], color="#333333", linestyle=":", label="other open licence"))
    axes.legend(handles=handles, loc="upper left", fontsize=8)
    return figure


def _land_rings() -> list[Any]:
    features = json.loads(LAND.read_text(encoding="utf-8"))["features"]
    land = next(one["geometry"] for one in features if one["properties"].get("kind") == "land")
    polygons = land["coordinates"] if land["type"] == "MultiPolygon" else [land["coordinates"]]
    return [polygon[0] for polygon in polygons]


def _colour(source: Source) -> str:
    return next((colour for limit, _, colour in _CLASSES if source.resolution_m <= limit), _COARSER[1])


def _line(source: Source) -> Any:
    return next((style for name, style in _LICENCES if source.licence.startswith(name)), ":")


def _page(svg: str, sources: Sequence[Source]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(s.id)}<td>{html.escape(s.country or '')}<td>{s.resolution_m:g}"
        f"<td>{html.escape(s.licence_name or s.licence)}<td>{html.escape(s.attribution)}"
        for s in sorted(sources, key=lambda s: (s.country or "", s.resolution_m))
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Coverage of sources</title>"
        "<style>body{font:14px sans-serif;margin:1em}svg{max-width:100%;height:auto}td,th{padding:2px 8px;text-align:left}"
        f"</style>{svg}<table><tr><th>id<th>country<th>m<th>licence<th>attribution{rows}</table></html>"
    )
