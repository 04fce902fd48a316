"""The local engine: in this process and in others that die, hang and lie."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from orograph.infra.engines.local import LocalEngine
from orograph.infra.engines.protocol import Engine, Event, Outcome, Status
from orograph.infra.engines.schedule import Policy
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.errors import DeadlineExceeded, EngineError, SourceCorrupt, TileQuarantined
from tests.support import runners
from tests.support.worlds import make_job

QUICK = Policy(attempts=3, deadline_s=20.0, backoff=Backoff(first_s=0.01, longest_s=0.02))


def run(engine: Engine, deeds: list[str]) -> tuple[list[Outcome], list[Event]]:
    events: list[Event] = []
    jobs = (make_job(n, href=f"do:{deed}") for n, deed in enumerate(deeds))
    outcomes = list(engine.run(jobs, runners.told, events.append))
    return sorted(outcomes, key=lambda outcome: outcome.job.tile.id), events


@pytest.mark.parametrize("isolate", [False, True])
def test_every_job_ends_once(isolate: bool, tmp_path: Path) -> None:
    deeds = ["nothing:", "corrupt:made", "unavailable:", f"unavailableonce:{tmp_path / 'x'}", "bug:oh", "memory:"]
    outcomes, events = run(LocalEngine(1, QUICK, isolate=isolate), deeds)
    assert [outcome.status for outcome in outcomes] == [
        Status.DONE,
        Status.FAILED,
        Status.QUARANTINED,
        Status.DONE,
        Status.FAILED,
        Status.QUARANTINED,
    ]
    assert [outcome.attempts for outcome in outcomes] == [1, 1, 3, 2, 1, 2]
    assert isinstance(outcomes[1].error, SourceCorrupt)
    assert outcomes[1].error.tile == outcomes[1].job.tile.id
    assert outcomes[1].error.stage == "blend"
    assert isinstance(outcomes[2].error, TileQuarantined)
    assert "SourceUnavailable" in outcomes[2].error.message
    assert type(outcomes[4].error) is EngineError
    assert "ValueError: oh at runners.py" in outcomes[4].error.message
    assert Event(outcomes[0].job.tile.id, "read", 0.0) in events
    assert Event(outcomes[2].job.tile.id, "blend", 0.5, 3) in events


def test_a_killed_worker_costs_its_tile_one_attempt(tmp_path: Path) -> None:
    deeds = ["nothing:", f"killonce:{tmp_path / 'k'}", "nothing:", "kill:", "nothing:"]
    outcomes, _ = run(LocalEngine(2, QUICK), deeds)
    assert [outcome.status for outcome in outcomes] == [Status.DONE] * 3 + [Status.QUARANTINED, Status.DONE]
    assert [outcome.attempts for outcome in outcomes] == [1, 2, 1, 3, 1]
    assert "killed by signal 9" in str(outcomes[3].error)
    assert outcomes[3].error is not None
    assert outcomes[3].error.stage == "blend"


def test_a_hung_tile_is_killed_at_its_deadline(tmp_path: Path) -> None:
    # Far less than a worker takes to start: the clock begins when it is ready.
    policy = Policy(attempts=2, deadline_s=0.5, backoff=QUICK.backoff)
    started = time.monotonic()
    outcomes, _ = run(LocalEngine(2, policy), ["hang:", f"hangonce:{tmp_path / 'h'}"])
    assert time.monotonic() - started < 60
    assert [outcome.status for outcome in outcomes] == [Status.QUARANTINED, Status.DONE]
    assert isinstance(outcomes[0].error, TileQuarantined)
    assert isinstance(outcomes[0].error.__cause__, DeadlineExceeded)


def test_draining_ends_what_runs_and_starts_nothing() -> None:
    engine = LocalEngine(1, QUICK)
    seen = []
    for outcome in engine.run((make_job(n, href="do:nothing:") for n in range(10)), runners.told, lambda _: None):
        seen.append(outcome)
        if len(seen) == 3:
            engine.drain()
    assert len(seen) == 3


def test_a_single_job_stays_in_this_process_unless_workers_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('a worker imports no module of the current folder')")
    monkeypatch.chdir(tmp_path)
    pids = []
    for engine in (LocalEngine(0, QUICK), LocalEngine(2, QUICK), LocalEngine(0, QUICK, isolate=True)):
        mark = tmp_path / str(len(pids))
        list(engine.run([make_job(0, href=f"do:pid:{mark}")], runners.told, lambda _: None))
        pids.append(int(mark.read_text()))
    assert pids[0] == os.getpid()
    assert os.getpid() not in pids[1:]


def test_an_unimportable_runner_is_told() -> None:
    import pickle

    with pytest.raises((pickle.PicklingError, AttributeError)):
        list(LocalEngine(2, QUICK).run([make_job()], lambda _job, _progress: None, lambda _: None))  # type: ignore[arg-type]
