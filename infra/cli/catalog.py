"""`orograph catalog`: publish, verify, clean and list the contents of a store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.reporting.console import err, out, print_json

if TYPE_CHECKING:
    from orograph.infra.stores.base import Store

app = typer.Typer(
    help="The published STAC catalogue: publish, verify, clean, list.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

StoreUrl = Annotated[str | None, typer.Option("--store", "-o", help="Folder or s3://bucket/prefix of the catalogue.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]


@app.command()
def publish(
    manifests: Annotated[
        list[str] | None,
        typer.Argument(help="Runs to publish as TILE/RUN_KEY; an earlier run's is a rollback.", show_default=False),
    ] = None,
    store: StoreUrl = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Also publish finished tiles and cells that no item shows.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Read every item again instead of the changed ones.")] = False,
    public_url: Annotated[
        str | None, typer.Option(help="Address of the store for the index's references (with --full the first time).")
    ] = None,
    json: AsJson = False,
) -> None:
    """Update collections, index and root to the published items."""
    from orograph.stac.publishing.finished_runs import committed, manifest_of
    from orograph.stac.publishing.publish import publish_item, rebuild

    place = _store(store)
    chosen = [manifest_of(place, text) for text in manifests or ()]
    if missing:
        chosen += committed(place)
    for manifest in chosen:
        publish_item(place, manifest)
    report = rebuild(place, public_url=public_url, full=full)
    if json:
        print_json({"published": [manifest.tile for manifest in chosen], **asdict(report)})
        return
    out.print(
        f"{len(chosen)} published, {report.items_read} items read in {report.blocks} blocks, "
        f"{report.documents_written} documents written"
    )
    if report.notes_left:
        err.print(f"{report.notes_left} items are still being written; publish again when they are")


@app.command()
def epoch(
    day: Annotated[str | None, typer.Argument(help="First day of a new epoch, such as 2027-01-01.")] = None,
    store: StoreUrl = None,
) -> None:
    """Show or set the nominal date of items: clients stack items of one date as one time step."""
    from orograph.stac.documents.json import timestamp
    from orograph.stac.publishing.epoch import begin_epoch, epoch_of

    place = _store(store)
    if day is not None:
        begin_epoch(place, day)
    out.print(epoch_of(place, timestamp())[:10], markup=False)


@app.command()
def verify(
    store: StoreUrl = None,
    schemas: Annotated[
        Path | None,
        typer.Option(
            help="Folder of extension schemas; fetched once and cached without.", exists=True, file_okay=False
        ),
    ] = None,
    files: Annotated[bool, typer.Option("--files/--no-files", help="Read and hash every file.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Fail on unfinished work too.")] = False,
    json: AsJson = False,
) -> None:
    """Check every item, checksum, COG and reference; exit 1 when something is wrong."""
    from orograph.stac.documents.items import EXTENSIONS
    from orograph.stac.documents.schema_cache import cached_library
    from orograph.stac.documents.schemas import SchemaLibrary
    from orograph.stac.verify import verify as check

    place = _store(store)
    library = SchemaLibrary(schemas) if schemas is not None else cached_library(EXTENSIONS)
    with err.status("verifying") as status:
        report = check(place, library, files=files, progress=lambda key: status.update(f"verifying {key}"))
    if json:
        print_json(report.to_dict())
    else:
        for problem in report.problems:
            colour = "red" if problem.severity == "error" else "yellow"
            out.print(f"[{colour}]{problem.kind}[/] ", end="")
            out.print(f"{problem.key}: {problem.message}", markup=False)
        out.print(
            f"{report.documents} documents, {report.items} items, {report.assets} files of "
            f"{report.bytes_read / 1e6:.1f} MB, {report.cogs} COGs, {len(report.problems)} problems"
        )
    if not report.ok or (strict and report.problems):
        raise typer.Exit(1)


@app.command()
def clean(
    store: StoreUrl = None,
    unfinished: Annotated[
        bool,
        typer.Option(
            "--unfinished", help="Also remove files of runs that never finished; only while no run is working."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files, remove none.")] = False,
    json: AsJson = False,
) -> None:
    """Remove files that no manifest refers to: left by workers that were killed or that finished second."""
    from orograph.stac.publishing.leftovers import leftovers

    place = _store(store)
    found = [leftover for leftover in leftovers(place) if leftover.finished or unfinished]
    for leftover in found:
        if not dry_run:
            place.delete(leftover.key)
        if not json:
            out.print(leftover.key, markup=False)
    size_bytes = sum(leftover.size_bytes for leftover in found)
    if json:
        print_json({"removed": not dry_run, "bytes": size_bytes, "keys": [leftover.key for leftover in found]})
    else:
        out.print(f"{len(found)} files, {size_bytes / 1e6:.1f} MB {'would be removed' if dry_run else 'removed'}")


@app.command()
def items(
    store: StoreUrl = None,
    bbox: Annotated[str | None, typer.Option(help="west,south,east,north in degrees.")] = None,
    collection: Annotated[list[str] | None, typer.Option(help="Collection id; repeatable.")] = None,
    time: Annotated[str | None, typer.Option("--datetime", help="RFC 3339 instant or interval.")] = None,
    cql2: Annotated[str | None, typer.Option("--filter", help='CQL2 text, e.g. "gsd < 20".')] = None,
    geoparquet: Annotated[Path | None, typer.Option(help="Write the items found to one stac-geoparquet file.")] = None,
    json: AsJson = False,
) -> None:
    """List published items, from the index."""
    from orograph.stac.documents.index import encode_items

    given = {"bbox": bbox, "datetime": time, "filter": cql2, "collections": ",".join(collection or ())}
    found = _search(_store(store), {name: value for name, value in given.items() if value})
    if geoparquet is not None:
        geoparquet.write_bytes(encode_items(found))
        err.print(f"{len(found)} items written to {geoparquet}")
    elif json:
        print_json({"type": "FeatureCollection", "features": found})
    else:
        for item in found:
            properties = item["properties"]
            error = properties.get("dem:vertical_accuracy_le90_m")
            out.print(
                f"{item['collection']:18} {item['id']}  {properties['version']:16} {properties['gsd']:>5g} m  "
                f"{properties['dem:vertical_datum']:10}  LE90 {'-' if error is None else f'{error:.2f} m'}"
            )
        if not found:
            err.print("0 items")


@app.command()
def browse(
    store: StoreUrl = None,
    browser: Annotated[
        Path | None, typer.Option(help="Folder of a built STAC Browser.", exists=True, file_okay=False)
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8081,
) -> None:
    """Serve only the catalogue: its files, the search API, and STAC Browser."""
    import uvicorn

    from orograph.stac.serving.site import catalogue_site

    site = catalogue_site(_store(store), browser)
    err.print(f"search API  http://{host}:{port}/\ncatalogue   http://{host}:{port}/files/stac/catalog.json")
    if browser is not None:
        err.print(f"browser     http://{host}:{port}/browser/")
    uvicorn.run(site, host=host, port=port, log_level="warning")


def _search(store: Store, parameters: dict[str, str]) -> list[dict[str, Any]]:
    """All pages of a search, references as keys of the store."""
    import orjson

    from orograph.stac.serving.query import LIMIT_MAX, members_of_url, parse_query
    from orograph.stac.serving.search import API, FILES, ItemIndex

    snapshot = ItemIndex(store).snapshot()
    found: list[dict[str, Any]] = []
    members: dict[str, Any] = {**members_of_url(parameters), "limit": LIMIT_MAX}
    while True:
        page = snapshot.search(parse_query(members))
        for body in page.bodies:
            item = orjson.loads(body.replace(f"{FILES}/".encode(), b""))
            item["links"] = [link for link in item["links"] if not link["href"].startswith(API)]
            found.append(item)
        if page.next_after is None:
            return found
        members["token"] = page.next_after


def _store(url: str | None) -> Store:
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.settings import RunSettings

    settings = RunSettings.with_flags(store=url)
    return open_store(
        settings.store, endpoint_url=settings.s3_endpoint_url, anonymous=settings.s3_anonymous, must_exist=True
    )
