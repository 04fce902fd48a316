"""`orograph sources list` and `show`: entries of the source catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.cli import options
from orograph.infra.cli.completion import complete_source
from orograph.infra.reporting.console import out, print_json
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE, Source, SourceCatalogue

if TYPE_CHECKING:
    from orograph.pipeline.sources.selection import SourceFilter

Countries = Annotated[
    list[str], typer.Option("--country", help="ISO 3166 code such as AT; DE includes DE-BY; repeatable.")
]
Finest = Annotated[float, typer.Option("--finest", help="Smallest resolution, metres.")]
Coarsest = Annotated[float, typer.Option("--coarsest", help="Largest resolution, metres.")]
Licence = Annotated[str, typer.Option("--licence", help="Start of the licence's id or name, such as CC-BY.")]


def filter_of(country: list[str], finest: float, coarsest: float, licence: str, area: str) -> SourceFilter:
    """The filter that options describe.

    Raises:
        ConfigError: `--area` is not a box.
    """
    from orograph.infra.runs.request import area_of
    from orograph.pipeline.sources.selection import SourceFilter

    codes = tuple(code.upper() for code in country)
    return SourceFilter(codes, finest, coarsest, licence, area_of(area) if area else None)


def list_(
    *,
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    country: Countries = [],  # noqa: B006 - typer reads the default, nothing writes it
    finest: Finest = 0.0,
    coarsest: Coarsest = float("inf"),
    licence: Licence = "",
    area: options.Area = "",
    usable: Annotated[bool, typer.Option("--usable", help="Only sources that can be planned as they are.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """List sources: country, resolution, vertical datum, licence, access and state.

    States: ready; unverified (facts to confirm, see show); fetch (archives, see fetch); download (by hand, see show).
    """
    from dataclasses import replace

    from orograph.pipeline.sources.selection import document_of

    chosen = replace(filter_of(country, finest, coarsest, licence, area), usable=usable).chosen(
        SourceCatalogue.load(catalogue).sources
    )
    if as_json:
        print_json([document_of(source) for source in chosen])
        return
    _print_table(chosen)


def _print_table(sources: list[Source]) -> None:
    from rich.table import Table

    from orograph.pipeline.sources.selection import access_of, state_of

    table = Table(title=f"{len(sources)} sources")
    for name in ("id", "country", "m", "vertical", "licence", "access", "state"):
        table.add_column(name, justify="right" if name == "m" else "left", no_wrap=name == "id")
    for source in sources:
        licence = source.licence_name or source.licence
        table.add_row(
            source.id,
            source.country or "",
            f"{source.resolution_m:g}",
            source.vertical_frame,
            licence,
            access_of(source),
            state_of(source),
        )
    out.print(table)


def show(
    source_id: Annotated[str, typer.Argument(metavar="ID", help="Source id.", autocompletion=complete_source)],
    *,
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show a source's catalogue entry, and the values to be confirmed."""
    from orograph.pipeline.sources.readiness import obstacle
    from orograph.pipeline.sources.selection import document_of

    source = SourceCatalogue.load(catalogue).get(source_id)
    error = obstacle(source)
    document = {**document_of(source), "vertical_name": _frame_name(source)}
    assumed = () if source.sensor is None else source.sensor.assumed
    if assumed:
        document["assumed"] = [f"sensor.{name}" for name in assumed]
    if error is not None:
        document["obstacle"] = error.to_dict()
    if as_json:
        print_json(document)
        return
    width = max(map(len, document))
    for name, value in document.items():
        if name in {"unverified", "notes", "obstacle"}:
            continue
        out.print(f"{name:<{width}}  {_text(value)}", markup=False, soft_wrap=True)
    for title, lines in (("to confirm", source.unverified), ("note", source.notes)):
        for line in lines:
            out.print(f"{title:<{width}}  {line}", markup=False, soft_wrap=True)
    if error is not None:
        out.print(f"{'to do':<{width}}  {error.remedy}", markup=False, soft_wrap=True)


def _frame_name(source: Source) -> str | None:
    """Name of the source's vertical datum; None where the vertical catalogue has none."""
    from orograph.pipeline.errors import NoVerticalOperation
    from orograph.pipeline.vertical.catalogue import VerticalCatalogue

    try:
        return VerticalCatalogue.load().frame(source.vertical_frame).name
    except NoVerticalOperation:
        return None


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value))
    return "none in the vertical catalogue" if value is None else str(value)


def map_(
    path: Annotated[Path, typer.Argument(help="Where to write: .png, .svg or .html.")],
    *,
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    country: Countries = [],  # noqa: B006 - typer reads the default, nothing writes it
    finest: Finest = 0.0,
    coarsest: Coarsest = float("inf"),
    licence: Licence = "",
    area: options.Area = "",
) -> None:
    """Draw the areas of sources by resolution and licence."""
    from orograph.infra.reporting.coverage_map import draw_coverage

    chosen = filter_of(country, finest, coarsest, licence, area).chosen(SourceCatalogue.load(catalogue).sources)
    draw_coverage(chosen, path)
    out.print(f"{len(chosen)} sources, {path}", markup=False)
