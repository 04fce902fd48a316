"""Drivers of small runs, to be started in processes of their own and killed."""

from __future__ import annotations

from pathlib import Path

from orograph.infra.engines.local import LocalEngine
from orograph.infra.engines.protocol import Event, Receipt
from orograph.infra.stores.open import open_store
from orograph.pipeline.job import Job, ProgressCallback
from orograph.stac.publishing.rebuild import rebuild
from tests.support.fault_world import WorldRunner, job_of


def drive(store_url: str, tiles: int, workers: int, started: str) -> None:
    """A whole run; a mark is left when the work begins, so that kills fall inside it."""
    Path(started).touch()
    engine = LocalEngine(workers, isolate=workers > 1)
    jobs = (job_of(number) for number in range(tiles))
    for _ in engine.run(jobs, WorldRunner(store_url), ignore):
        pass
    rebuild(open_store(store_url))


def ignore(_event: Event) -> None: ...


class KillAt:
    """A runner whose process dies when it first reaches a stage."""

    def __init__(self, runner: object, stage: str, mark: str) -> None:
        self.runner, self.stage, self.mark = runner, stage, mark

    def __call__(self, job: Job, progress: ProgressCallback) -> Receipt:
        import os
        import signal

        from tests.support.runners import first_time

        def killing(stage: str, fraction: float) -> None:
            progress(stage, fraction)
            if stage == self.stage and first_time(self.mark):
                os.kill(os.getpid(), signal.SIGKILL)

        return self.runner(job, killing)  # type: ignore[operator]
