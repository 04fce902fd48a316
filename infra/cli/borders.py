"""`orograph borders`: differences of sources at their borders, causes, and corrections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from orograph.infra.cli.completion import complete_source
from orograph.infra.cli.grids import GridsDir, grids_folder
from orograph.infra.reporting.console import err, out, print_json
from orograph.infra.reporting.work_progress import WorkProgress
from orograph.pipeline.core.frames import frame_id


def borders(
    sources: Annotated[
        Path, typer.Option("--catalogue", "--sources", "-c", help="YAML catalogue of sources in local files.")
    ],
    out_dir: Annotated[Path, typer.Option("--out", "-o", help="Folder of the report.")] = Path("borders"),
    only: Annotated[
        list[str] | None,
        typer.Option("--source", "-s", help="Compare only this source; repeatable.", autocompletion=complete_source),
    ] = None,
    frame_to: Annotated[str, typer.Option("--to", help="Frame to compare in.")] = "EPSG:5621",
    pixel_size_m: Annotated[float | None, typer.Option("--pixel-size", help="Pixel of the comparison, metres.")] = None,
    area: Annotated[
        str | None, typer.Option(help="west,south,east,north in metres of EPSG:3035 to stay within.")
    ] = None,
    flat_deg: Annotated[float, typer.Option(help="Steeper terrain is left out.")] = 5.0,
    adjust: Annotated[
        str | None, typer.Option(help="constant or plane: least squares of one correction per source.")
    ] = None,
    allow_disagreement: Annotated[
        bool, typer.Option("--allow-disagreement", help="Go on where geoid and levelling differ by over 15 cm.")
    ] = False,
    grids_dir: GridsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report's JSON.")] = False,
) -> None:
    """Compare sources over their overlaps: statistics, maps, the two-route check, and optional network adjustment."""
    from orograph.pipeline.borders import AdjustmentFile, adjust_network, compare_sources, source_weights
    from orograph.pipeline.borders.report import write_report
    from orograph.pipeline.errors import UsageError
    from orograph.pipeline.sources.catalogue import SourceCatalogue

    if adjust not in {None, "constant", "plane"}:
        raise UsageError(f"unknown adjustment {adjust!r}", remedy="use constant or plane")
    frame_to = frame_id(frame_to)
    model: Literal["constant", "plane"] = "plane" if adjust == "plane" else "constant"
    catalogue = SourceCatalogue.load(sources)
    chosen = [catalogue.get(name) for name in only] if only else list(catalogue.sources)
    with WorkProgress(shown=not as_json):
        comparison = compare_sources(
            chosen,
            frame_to,
            grids_folder(grids_dir),
            pixel_size_m=pixel_size_m,
            area_m=_bounds(area),
            flat_deg=flat_deg,
        )
    network = None
    if adjust is not None:
        observations = [observation for border in comparison.borders for observation in border.observations]
        weights = {source.id: source_weights(source, comparison.operations[source.id]) for source in chosen}
        network = adjust_network(
            observations,
            {name: constant_m for name, (constant_m, _) in weights.items()},
            local_m={name: local_m for name, (_, local_m) in weights.items()},
            model=model,
        )
    document = write_report(comparison, out_dir, network)
    if network is not None:
        kept = AdjustmentFile(target_frame=frame_to, model=model, sources=network.adjustments)
        (out_dir / "adjustment.json").write_text(kept.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(document)
    else:
        _print(document, out_dir)
    for border in comparison.borders:
        if border.routes.verdict == "warn":
            err.print(f"[yellow]warning[/]: {border.name}: the routes differ by over 5 cm")
        if not allow_disagreement:
            border.routes.insist(border.name)


def _bounds(text: str | None) -> tuple[float, float, float, float] | None:
    from orograph.pipeline.errors import UsageError

    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"not an area: {text!r}", remedy="give west,south,east,north in metres") from error
    return west, south, east, north


def _print(document: dict[str, object], out_dir: Path) -> None:
    from typing import cast

    from rich.table import Table

    report = cast("dict[str, Any]", document)
    table = Table("border", "pixels", "median", "mean |d|", "NMAD", "before", "routes", box=None)
    for border in report["borders"]:
        figures = border["all_flat_ground"]
        table.add_row(
            f"{border['a']} / {border['b']}",
            f"{figures['count']:,}",
            f"{figures['median_m'] * 100:+.2f} cm",
            f"{figures['mean_absolute_m'] * 100:.2f} cm",
            f"{figures['nmad_m'] * 100:.2f} cm",
            f"{border['without_operations']['median_m'] * 100:+.2f} cm",
            _routes(border["two_routes"]),
        )
    out.print(table)
    if report["adjustment"] is not None:
        for name, source in report["adjustment"]["sources"].items():
            out.print(f"adjustment {name} {source['constant_m'] * 100:+.2f} cm +- {source['sigma_m'] * 100:.2f} cm")
    out.print(f"report in {out_dir / 'index.html'}")


def _routes(check: dict[str, Any]) -> str:
    """The two-route check in a cell: a figure only where there is one."""
    if check["difference_m"] is None:
        return f"{check['verdict']}: {check['reason']}"
    return f"{check['difference_m'] * 100:+.2f} cm {check['verdict']}"
