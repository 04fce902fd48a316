"""Executes a plan: engine, progress, publishing, and the summary at the end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Final

from orograph.infra.engines.protocol import DrainingEngine, Outcome, Status
from orograph.infra.reporting.console import err, print_json_line
from orograph.infra.reporting.progress import reporter
from orograph.infra.runs.known_contents import keep_contents
from orograph.infra.runs.node_needs import needs_of
from orograph.infra.runs.packed_jobs import packed_jobs
from orograph.infra.runs.supervise import supervised
from orograph.infra.runs.tile_runner import TileRunner
from orograph.pipeline.errors import OrographError, SourceInaccessible
from orograph.pipeline.job import Job
from orograph.pipeline.planning.planner import Plan
from orograph.pipeline.settings import RunSettings

FAILED, SOME_FAILED, INPUT_MISSING, INTERRUPTED = 1, 3, 4, 130


def execute_plan(
    plan: Plan, engine: DrainingEngine, settings: RunSettings, *, as_json: bool = False
) -> tuple[Outcome, ...]:
    """Run all jobs; the catalogue is updated with published tiles during the run and at its end."""
    from orograph.infra.runs.catalogue_follower import CatalogueFollower
    from orograph.infra.stores.open import open_store

    outcomes = []
    store = open_store(settings.store, endpoint_url=settings.s3_endpoint_url)
    jobs = packed_jobs(store, plan.jobs)
    watched = supervised(engine, settings, jobs, plan.jobs)
    with (
        CatalogueFollower(store) as catalogue,
        reporter(len(jobs), as_json=as_json) as report,
        needs_of(plan.jobs, settings, engine.name) as needs,
    ):
        for outcome in watched.run(jobs, TileRunner(settings, needs), report.event):
            report.outcome(outcome)
            outcomes.append(outcome)
            if outcome.status in (Status.DONE, Status.UP_TO_DATE):
                catalogue.published()
    made = (outcome.job for outcome in outcomes if outcome.status is Status.DONE)
    keep_contents(store, (job for job in made if isinstance(job, Job)))
    for note in watched.notes:
        err.print(note, markup=False)
    return tuple(outcomes)


def smoothed(plan: Plan, engine: DrainingEngine, settings: RunSettings, *, as_json: bool = False) -> Plan:
    """Return the plan with shifts that are continuous over neighbouring tiles: first estimated per tile, then jointly.

    Tiles whose estimate fails get no joint shift; their error appears when they run.
    """
    from dataclasses import replace

    from orograph.infra.runs.tile_runner import EstimateRunner, estimate_key
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.coregistration import smooth_shifts
    from orograph.pipeline.manifest import CoregistrationRecord

    store = open_store(settings.store, endpoint_url=settings.s3_endpoint_url)
    with reporter(len(plan.jobs), as_json=as_json) as report:
        for outcome in engine.run(packed_jobs(store, plan.jobs), EstimateRunner(settings), report.event):
            report.outcome(outcome)
    records = {}
    for job in plan.jobs:
        if store.head(estimate_key(job)) is not None:
            documents = json.loads(store.get(estimate_key(job)))
            records[job.tile] = [CoregistrationRecord.model_validate(document) for document in documents]
    shifts = smooth_shifts(records)
    jobs = tuple(replace(job, alignment=shifts.get(job.tile, ())) for job in plan.jobs)
    return Plan(jobs, plan.rejected, vertical=plan.vertical)


def summarise(
    outcomes: Sequence[Outcome], plan: Plan, settings: RunSettings, *, as_json: bool = False, notes: Sequence[str] = ()
) -> int:
    """Print the notes of planning, the result of the run and the place of its files; return the exit code."""
    good = sum(outcome.status in (Status.DONE, Status.UP_TO_DATE) for outcome in outcomes)
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    errors += [one.error for one in plan.rejected]
    if as_json:
        for one in plan.rejected:
            print_json_line({"event": "tile", "status": "rejected", **one.error.to_dict(), "tile": one.tile.id})
        print_json_line(
            {
                "event": "end",
                "good": good,
                "failed": len(errors),
                "store": settings.store,
                "notes": list(notes),
                "heights_outside": _outside(outcomes),
            }
        )
    else:
        for one in plan.rejected:
            err.print(f"{one.tile.id} rejected: {one.error}", markup=False)
        for note in notes:
            err.print(f"note: {note}", markup=False)
        for line in _left_out(outcomes, plan):
            err.print(f"outside: {line}", markup=False)
        tiles = "tile" if good == 1 else "tiles"
        err.print(f"{good} {tiles} in {settings.store}, {len(errors)} failed", markup=False)
        if good:
            _say_where(outcomes, settings)
    return _exit_code(outcomes, plan, errors, good)


def _exit_code(outcomes: Sequence[Outcome], plan: Plan, errors: Sequence[OrographError], good: int) -> int:
    """Exit code of a run."""
    left = len(plan.jobs) - len(outcomes)
    if left:
        err.print(f"interrupted: {left} tiles were not started; the same command resumes", markup=False)
        return INTERRUPTED
    if not errors:
        return 0
    if any(isinstance(error, SourceInaccessible) for error in errors):
        return INPUT_MISSING  # whatever else was made: tiles are missing because a server denied access
    if good:
        return SOME_FAILED
    return INPUT_MISSING if all(error.exit_code == INPUT_MISSING for error in errors) else FAILED


def _outside(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Heights left out because they are outside their operation's area of use, by source."""
    counts: dict[str, int] = {}
    for outcome in outcomes:
        for source, count in outcome.receipt.outside.items() if outcome.receipt is not None else ():
            counts[source] = counts.get(source, 0) + count
    return counts


def _left_out(outcomes: Sequence[Outcome], plan: Plan) -> list[str]:
    """Sentences on heights that vertical operations left out: counted ones, and sources that are outside as a whole."""
    planned = [operation for operations in plan.vertical.values() for operation in operations]
    named = {operation.source: operation for operation in planned}
    lines = []
    for source, count in _outside(outcomes).items():
        by = f" of {named[source].operation} ({named[source].area})" if source in named else ""
        lines.append(f"{count} heights of {source} are outside the area of use{by} and were left out")
    whole: dict[str, int] = {}
    for operation in planned:
        if operation.share == 0:
            whole[operation.source] = whole.get(operation.source, 0) + 1
    for source, count in whole.items():
        by = f"{named[source].operation} ({named[source].area})"
        lines.append(f"all of {source} is outside the area of use of {by} in {count} tiles and was left out")
    return lines


_MOST_LISTED: Final = 5


def _say_where(outcomes: Sequence[Outcome], settings: RunSettings) -> None:
    """Name the heights, the report, the catalogue and the command that shows the map."""
    from orograph.infra.reporting.run_record import ROOT, latest_run
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.manifest import Manifest

    store = open_store(settings.store, endpoint_url=settings.s3_endpoint_url)
    made = [outcome.job for outcome in outcomes if outcome.status in (Status.DONE, Status.UP_TO_DATE)]
    base = settings.store.rstrip("/")
    for job in made[:_MOST_LISTED]:
        assets = {asset.name: asset.key for asset in Manifest.from_json(store.get(job.manifest_key)).assets}
        err.print(f"heights    {base}/{assets.get('elevation', job.manifest_key)}", markup=False)
    if len(made) > _MOST_LISTED:
        err.print(f"           and {len(made) - _MOST_LISTED} more; `orograph catalog items` lists them", markup=False)
    run = latest_run(store)
    if run is not None:
        err.print(f"report     {base}/{ROOT}/{run}/report.html", markup=False)
    err.print(f"catalogue  {base}/stac/catalog.json", markup=False)
    err.print(f"map        orograph serve --store {shlex.quote(settings.store)}", markup=False)
