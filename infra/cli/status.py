"""`orograph status`: the state of a run, read from its record in the store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orograph.infra.cli.options import STORE
from orograph.infra.reporting.console import err, out, print_json

if TYPE_CHECKING:
    from rich.console import Group

    from orograph.infra.stores.base import Store


def status(
    run: Annotated[str | None, typer.Argument(help="Name of a run.", show_default="the one that began last")] = None,
    store: Annotated[
        str | None, typer.Option("--store", "-o", help="Folder or s3://bucket/prefix.", show_default=STORE)
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep the table up to date until the run ends.")
    ] = False,
    every_s: Annotated[float, typer.Option("--every", help="Seconds between looks.", min=0.2)] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="The record itself, on standard output.")] = False,
) -> None:
    """Show the state of a run: tiles, stages, failures, time left."""
    from orograph.infra.engines.ray_head import jobs_in_sight
    from orograph.infra.reporting.run_record import ROOT, latest_run
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.errors import SourceMissing
    from orograph.pipeline.settings import RunSettings

    settings = RunSettings.with_flags(store=store)
    opened = open_store(settings.store, endpoint_url=settings.s3_endpoint_url, anonymous=settings.s3_anonymous)
    name = run or latest_run(opened)
    jobs = [] if as_json or run else [job for job in jobs_in_sight() if job.state in {"PENDING", "RUNNING"}]
    for job in jobs:
        err.print(f"{job.name}  {job.state.lower()}  {job.message}", markup=False)
    if name is None and jobs:
        err.print(f"no run is recorded in {settings.store} yet")
        return
    if name is None:
        raise SourceMissing(f"no run is recorded in {settings.store}", remedy="start one with `orograph run`")
    state = _state(opened, f"{ROOT}/{name}/state.json", name)
    if as_json:
        print_json(state)
    elif follow:
        _follow(opened, name, state, every_s)
    else:
        out.print(table_of(state))
    if not as_json and state["failures"]:
        err.print(f"{len(state['failures'])} tiles failed; `orograph status {name} --json` lists every failure")


def table_of(state: dict[str, Any], now_s: float | None = None) -> Group:
    """Format the record as a table."""
    from datetime import datetime

    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    tiles = state["tiles"]
    good = tiles["done"] + tiles["up-to-date"]
    ended = good + tiles["failed"] + tiles["quarantined"]
    silent_s = (now_s or time.time()) - datetime.fromisoformat(state["updated"]).timestamp()
    shown = state["state"]
    if shown == "running" and silent_s > 60:
        shown = f"silent for {silent_s / 60:.0f} min: the driver may be gone; the same command resumes"
    left = "" if state["seconds_left"] is None else f", about {state['seconds_left'] / 60:.0f} min left"
    head = Text(f"{state['run']}  {shown}  {state['engine']}, {state['workers']} workers{left}")
    counts = Text(
        f"{ended} of {tiles['planned'] or '?'}: {tiles['done']} made, {tiles['up-to-date']} up to date, "
        f"{tiles['failed']} failed, {tiles['quarantined']} quarantined, {tiles['running']} running"
    )
    bar = Table.grid()
    bar.add_row(ProgressBar(total=float(tiles["planned"] or max(ended, 1)), completed=float(ended), width=60))
    table = Table("tile", "stage", "done", "attempt", "since", box=None, pad_edge=False)
    for entry in sorted(state["running"], key=lambda e: e["since"])[:30]:
        table.add_row(
            entry["tile"], entry["stage"], f"{entry['fraction']:.0%}", str(entry["attempt"]), entry["since"][11:19]
        )
    faults = [Text(f"{entry['tile']} {entry['error']}: {entry['message']}", style="red") for entry in state["failures"]]
    return Group(head, bar, counts, *([table] if table.row_count else []), *faults[-5:])


def _follow(store: Store, name: str, state: dict[str, Any], every_s: float) -> None:
    from rich.live import Live

    from orograph.infra.reporting.run_record import ROOT

    with Live(table_of(state), console=out, auto_refresh=False) as live:
        while state["state"] == "running":
            time.sleep(every_s)
            state = _state(store, f"{ROOT}/{name}/state.json", name)
            live.update(table_of(state), refresh=True)


def _state(store: Store, key: str, name: str) -> dict[str, Any]:
    import orjson

    from orograph.pipeline.errors import SourceMissing

    try:
        document: dict[str, Any] = orjson.loads(store.get(key))
    except KeyError as error:
        raise SourceMissing(f"no run {name} is recorded in {store.url}") from error
    return document
