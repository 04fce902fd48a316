"""`orograph sources`: datasets of heights, and the index of their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orograph.infra.cli import options, sources_list, sources_transfer
from orograph.infra.cli.completion import complete_source
from orograph.infra.reporting.console import err, out, print_json_line
from orograph.pipeline.core.frames import frame_id
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE, Thinning

if TYPE_CHECKING:
    from orograph.infra.runs.source_indexes import Built

_FAULTS_SHOWN = 20

app = typer.Typer(help="Datasets of heights, and the index of their files.", no_args_is_help=True)
app.command("list")(sources_list.list_)
app.command("show")(sources_list.show)
app.command("map")(sources_list.map_)
app.command("fetch")(sources_transfer.fetch)
app.command("mirror")(sources_transfer.mirror)


@app.command("index")
def index(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Source ids.", autocompletion=complete_source)],
    *,
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    data: options.DataFiles = [],  # noqa: B006 - typer reads the default, nothing writes it
    store: options.StoreUrl = None,
    area: options.Area = "",
    sha256: Annotated[
        bool,
        typer.Option(
            "--sha256", help="Identify local files by content: every file is read, plans then hold for copies."
        ),
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Read every file again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> None:
    """Write footprint, grid and identity of every file of a source to the store, as GeoParquet.

    The index is used by plan, run, the service and workers. Run it again to read changed files, or
    to resume an interrupted build.
    """
    from orograph.infra.reporting.transfer_progress import TransferProgress
    from orograph.infra.runs.request import Request, area_of, document_reader, store_of
    from orograph.infra.runs.source_access import SourceAccess
    from orograph.infra.runs.source_indexes import index_key, update_index
    from orograph.pipeline.settings import RunSettings

    settings = RunSettings.with_flags(store=store)
    request = Request(catalogue, tuple(ids), tuple(data))
    bounds = area_of(area) if area else None
    target = store_of(settings)
    files = SourceAccess(settings)
    faults = 0
    for source in request.sources():
        with TransferProgress(f"indexing {source.id}", as_json=as_json) as progress:
            built = update_index(
                target,
                source,
                files,
                document_reader(settings),
                area_deg=bounds,
                with_sha256=sha256,
                fresh=fresh,
                on_step=progress.show,
            )
        _report(built, f"{target.url}/{index_key(source.id)}", as_json=as_json)
        faults += len(built.faults)
    if faults:
        raise typer.Exit(4)


@app.command("describe")
def describe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Rasters of one dataset.")],
    catalogue: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="YAML catalogue to write.", show_default="standard output"),
    ] = None,
    frame: Annotated[
        str | None, typer.Option("--frame", help="Vertical frame of the heights, if the file declares none.")
    ] = None,
    surface: Annotated[Surface, typer.Option(help="Terrain (DTM) or with trees and buildings (DSM).")] = Surface.DTM,
    thinning: Annotated[Thinning, typer.Option(help="How the heights were made from finer ones.")] = Thinning.DECIMATED,
    accuracy_m: Annotated[float, typer.Option(help="Standard deviation on open terrain, metres.")] = 0.5,
    attribution: Annotated[str, typer.Option(help="As the provider asks, word for word.")] = "own data",
) -> None:
    """Write a catalogue of your own raster files, for `orograph run --catalogue`; check it before you publish."""
    import yaml

    from orograph.pipeline.sources.describe import describe as entry_of
    from orograph.pipeline.vertical.catalogue import VerticalCatalogue

    if frame is not None:
        frame = frame_id(frame)
        VerticalCatalogue.load().frame(frame)
    entry = entry_of(
        tuple(files), frame=frame, surface=surface, thinning=thinning, accuracy_m=accuracy_m, attribution=attribution
    )
    document = {
        "sources": [entry.model_dump(mode="json", exclude_defaults=True) | {"data": entry.data.model_dump(mode="json")}]
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    if catalogue is None:
        out.print(text, markup=False, end="")
        return
    catalogue.write_text(text, encoding="utf-8")
    err.print(f"wrote {catalogue}; next: orograph run --catalogue {catalogue} --store STORE", markup=False)


def _report(built: Built, place: str, *, as_json: bool) -> None:
    count, source_id = len(built.index), built.index.source_id
    size_bytes = int(built.index.sizes_bytes.sum())
    if as_json:
        print_json_line(
            {
                "event": "index",
                "source": source_id,
                "files": count,
                "bytes": size_bytes,
                "read": built.read,
                "kept": built.kept,
                "faults": [{"href": fault.href, **fault.error.to_dict()} for fault in built.faults],
                "index": place,
            }
        )
        return
    for fault in built.faults[:_FAULTS_SHOWN]:
        err.print(f"not indexed: {fault.error}", markup=False)
    if len(built.faults) > _FAULTS_SHOWN:
        err.print(f"and {len(built.faults) - _FAULTS_SHOWN} more; --json lists all")
    volume = f"{size_bytes / 1e6:,.1f} MB"
    out.print(
        f"{source_id}: {count} files, {volume} ({built.read} read, {built.kept} unchanged), {place}", markup=False
    )
