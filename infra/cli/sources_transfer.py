"""`orograph sources fetch` and `mirror`: copy the files of an area."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orograph.infra.cli import options
from orograph.infra.cli.completion import complete_source
from orograph.infra.reporting.console import err, out, print_json_line
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE, Source, SourceCatalogue

if TYPE_CHECKING:
    from orograph.infra.runs.source_transfer import Transferred
    from orograph.infra.stores.base import Store
    from orograph.pipeline.settings import RunSettings

SourceId = Annotated[str, typer.Argument(metavar="ID", help="Source id.", autocompletion=complete_source)]
Area = Annotated[str, typer.Option("--area", "-a", help="west,south,east,north in degrees.")]
Rate = Annotated[float, typer.Option("--rate", min=0.01, help="Files per second at most.")]
RobotsRule = Annotated[
    bool, typer.Option("--robots/--no-robots", help="Keep to the server's robots.txt and its crawl delay.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]


@dataclass(frozen=True, slots=True)
class _Order:
    """The options that both commands share."""

    source: Source
    area: str
    rate: float
    robots: bool
    as_json: bool


def fetch(
    source_id: SourceId,
    *,
    area: Area,
    to: Annotated[Path, typer.Option("--to", help="Folder; files go into FOLDER/ID.")] = Path("data"),
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    rate: Rate = 4.0,
    robots: RobotsRule = True,
    as_json: Json = False,
) -> None:
    """Download the files of an area; run it again to resume."""
    from orograph.infra.runs.source_transfer import fetch_source
    from orograph.pipeline.settings import RunSettings

    order = _Order(SourceCatalogue.load(catalogue).get(source_id), area, rate, robots, as_json)
    done = _transfer("fetching", fetch_source, to, order, RunSettings(cache_mb=0))
    _report(done, f"{to / source_id}", as_json=as_json)


def mirror(
    source_id: SourceId,
    *,
    area: Area,
    to: Annotated[str, typer.Option("--to", help="Folder or s3://bucket/prefix.")],
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    rate: Rate = 4.0,
    robots: RobotsRule = True,
    as_json: Json = False,
) -> None:
    """Copy an area into a bucket as COGs cropped to it, with licence text and report; run it again to resume."""
    from orograph.infra.runs.source_transfer import mirror_source
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.settings import RunSettings

    order = _Order(SourceCatalogue.load(catalogue).get(source_id), area, rate, robots, as_json)
    settings = RunSettings(cache_mb=0)
    store = open_store(to, endpoint_url=settings.s3_endpoint_url)
    done = _transfer("mirroring", mirror_source, store, order, settings)
    _report(done, f"{store.url}/{source_id}", as_json=as_json)


def _transfer(
    verb: str, copy: Callable[..., Transferred], target: Path | Store, order: _Order, settings: RunSettings
) -> Transferred:
    """Copy an area with progress; `copy` is one of the two functions of `source_transfer`."""
    from orograph.infra.reporting.transfer_progress import TransferProgress
    from orograph.infra.runs.request import area_of, document_reader
    from orograph.infra.runs.robots import Robots
    from orograph.infra.runs.source_access import SourceAccess
    from orograph.infra.runs.source_transfer import PATIENT

    read = document_reader(settings)
    with TransferProgress(f"{verb} {order.source.id}", as_json=order.as_json) as progress:
        return copy(
            order.source,
            SourceAccess(settings, backoff=PATIENT),
            read,
            area_of(order.area),
            target,
            requests_per_s=order.rate,
            robots=Robots(read) if order.robots else None,
            on_step=progress.show,
        )


def _report(done: Transferred, place: str, *, as_json: bool) -> None:
    if as_json:
        print_json_line({"event": "transfer", **done.to_dict()})
    else:
        for href, error in done.faults[:20]:
            err.print(f"not copied: {href}: {error}", markup=False)
        use = f"use them with --data '{done.source_id}={place}/*/*.tif'"
        counts = f"{len(done.copied)} files copied, {len(done.kept)} kept, {done.absent} absent, {done.outside} outside, {len(done.faults)} failed"
        out.print(f"{done.source_id}: {counts}, {done.size_bytes / 1e6:,.1f} MB; {use}", markup=False, soft_wrap=True)
    if done.faults:
        raise typer.Exit(4)
