"""`orograph ingest`: convert delivered files into COGs with complete metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from orograph.infra.cli import options
from orograph.infra.cli.completion import complete_source
from orograph.infra.reporting.console import err, out, print_json_line
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE, SourceCatalogue

_SHOWN: Final = 20


def ingest(
    files: Annotated[
        list[Path], typer.Argument(help="Rasters of any format read, zip and 7z archives, or folders of them.")
    ],
    source: Annotated[
        str, typer.Option("--source", "-s", help="Source id of the files.", autocompletion=complete_source)
    ],
    to: Annotated[str, typer.Option("--to", help="Folder or s3://bucket/prefix; COGs go below its ID/.")],
    *,
    catalogue: options.Catalogue = BUNDLED_CATALOGUE,
    scratch: Annotated[
        Path | None, typer.Option("--scratch", help="Folder for unpacked files.", show_default="the system's")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")] = False,
) -> None:
    """Convert delivered files (ASCII, XYZ, zip, 7z, ...) into COGs; run it again to resume."""
    from orograph.infra.reporting.ingest_page import ingest_page
    from orograph.infra.reporting.transfer_progress import TransferProgress
    from orograph.infra.runs.ingest import ingest as convert_files
    from orograph.infra.stores.open import check_writable, open_store
    from orograph.pipeline.settings import RunSettings

    entry, settings = SourceCatalogue.load(catalogue).get(source), RunSettings(cache_mb=0)
    store = open_store(to, endpoint_url=settings.s3_endpoint_url)
    check_writable(store)
    with TransferProgress(f"ingesting {entry.id}", as_json=as_json) as progress:
        done = convert_files(entry, files, store, scratch=scratch, on_step=progress.show)
    report = done.to_dict()
    store.put(f"{entry.id}/report.json", json.dumps(report, indent=1).encode(), media_type="application/json")
    store.put(f"{entry.id}/report.html", ingest_page(report).encode(), media_type="text/html; charset=utf-8")
    if as_json:
        print_json_line({"event": "ingest", **report})
    else:
        for one in [one for one in done.entries if one.status == "rejected"][:_SHOWN]:
            err.print(f"rejected: {one.file}: {one.reason} — {one.remedy or 'see the report'}", markup=False)
        for text in [f"{one.file}: {text}" for one in done.entries for text in one.suspicious][:_SHOWN]:
            err.print(f"suspicious: {text}", markup=False)
        counts = ", ".join(f"{report[name]} {name}" for name in ("converted", "kept", "rejected", "ignored"))
        out.print(f"{entry.id}: {counts}; report {store.url}/{entry.id}/report.html", markup=False, soft_wrap=True)
        out.print(
            f"use them with --catalogue {store.url}/{done.catalogue_key} --source {entry.id}",
            markup=False,
            soft_wrap=True,
        )
    if done.count("rejected"):
        raise typer.Exit(4)
