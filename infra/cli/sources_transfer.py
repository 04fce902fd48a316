"""`orograph sources fetch` and `mirror`: copy the files of an area."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orograph.infra.cli import options
from orograph.infra.cli.completion import complete_source
from orograph.infra.reporting.console import err, out, print_json_line
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE, SourceCatalogue

if TYPE_CHECKING:
    from orograph.infra.runs.source_transfer import Transferred

SourceId = Annotated[str, typer.Argument(metavar="ID", help="Source id.", autocompletion=complete_source)]
Rate = Annotated[float, typer.Option("--rate", min=0.01, help="Files per second at most.")]
RobotsRule = Annotated[
    bool, typer.Option("--robots/--no-robots", help="Keep to the server's robots.txt and its crawl delay.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]


def fetch(
    source_id: SourceId,
    *,
    area: Annotated[str, typer.Option("--area", "-a", help="west,south,east,north in degrees.")],
    to: Annotated[Path, typer.Option("--to", help="Folder; files go into FOLDER/ID.")] = Path("data"),
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    rate: Rate = 4.0,
    robots: RobotsRule = True,
    as_json: Json = False,
) -> None:
    """Download the files of an area; run it again to resume."""
    from orograph.infra.reporting.transfer_progress import TransferProgress
    from orograph.infra.runs.request import area_of, document_reader
    from orograph.infra.runs.robots import Robots
    from orograph.infra.runs.source_access import SourceAccess
    from orograph.infra.runs.source_transfer import PATIENT, fetch_source
    from orograph.pipeline.settings import RunSettings

    source, settings = SourceCatalogue.load(catalogue).get(source_id), RunSettings(cache_mb=0)
    with TransferProgress(f"fetching {source.id}", as_json=as_json) as progress:
        done = fetch_source(
            source,
            SourceAccess(settings, backoff=PATIENT),
            document_reader(settings),
            area_of(area),
            to,
            requests_per_s=rate,
            robots=Robots(document_reader(settings)) if robots else None,
            on_step=progress.show,
        )
    _report(done, f"use them with --data '{source.id}={to / source.id}/*/*.tif'", as_json=as_json)


def mirror(
    source_id: SourceId,
    *,
    area: Annotated[str, typer.Option("--area", "-a", help="west,south,east,north in degrees.")],
    to: Annotated[str, typer.Option("--to", help="Folder or s3://bucket/prefix.")],
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    rate: Rate = 4.0,
    robots: RobotsRule = True,
    as_json: Json = False,
) -> None:
    """Copy an area into a bucket as COGs cropped to it, with licence text and report; run it again to resume."""
    from orograph.infra.reporting.transfer_progress import TransferProgress
    from orograph.infra.runs.request import area_of, document_reader
    from orograph.infra.runs.robots import Robots
    from orograph.infra.runs.source_access import SourceAccess
    from orograph.infra.runs.source_transfer import PATIENT, mirror_source
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.settings import RunSettings

    source, settings = SourceCatalogue.load(catalogue).get(source_id), RunSettings(cache_mb=0)
    store = open_store(to, endpoint_url=settings.s3_endpoint_url)
    with TransferProgress(f"mirroring {source.id}", as_json=as_json) as progress:
        done = mirror_source(
            source,
            SourceAccess(settings, backoff=PATIENT),
            document_reader(settings),
            area_of(area),
            store,
            requests_per_s=rate,
            robots=Robots(document_reader(settings)) if robots else None,
            on_step=progress.show,
        )
    _report(done, f"use them with --data '{source.id}={store.url}/{source.id}/*/*.tif'", as_json=as_json)


def _report(done: Transferred, use: str, *, as_json: bool) -> None:
    if as_json:
        print_json_line({"event": "transfer", **done.to_dict()})
    else:
        for href, error in done.faults[:20]:
            err.print(f"not copied: {href}: {error}", markup=False)
        counts = f"{len(done.copied)} files copied, {len(done.kept)} kept, {done.absent} absent, {done.outside} outside, {len(done.faults)} failed"
        out.print(f"{done.source_id}: {counts}, {done.size_bytes / 1e6:,.1f} MB; {use}", markup=False, soft_wrap=True)
    if done.faults:
        raise typer.Exit(4)
