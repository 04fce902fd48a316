"""One attempt: errors of the tree come back, progress is thinned."""

import errno

import pytest

from orograph.infra.engines.attempt import Progress, as_orograph_error, deadline_error, execute, settle
from orograph.infra.engines.protocol import Receipt, Status
from orograph.infra.engines.schedule import Policy, Schedule
from orograph.pipeline.errors import DiskFull, EngineError, OutOfMemory, PackageMissing, SourceCorrupt
from tests.support.worlds import make_job

JOB = make_job()


def test_stages_and_ends_pass_at_once_and_fractions_seldom():
    seen = []
    progress = Progress(lambda *step: seen.append(step))
    for step in (("a", 0.0), ("a", 0.1), ("a", 0.2), ("a", 1.0), ("b", 0.0)):
        progress(*step)
    assert seen == [("a", 0.0), ("a", 1.0), ("b", 0.0)]
    assert progress.stage == "b"


def test_an_error_comes_back_with_its_tile_and_stage():
    def runner(_job, progress):
        progress("blend", 0.5)
        raise SourceCorrupt("bad")

    error = execute(runner, JOB, lambda _stage, _fraction: None)
    assert isinstance(error, SourceCorrupt)
    assert (error.tile, error.stage) == (JOB.id, "blend")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (MemoryError("x"), OutOfMemory),
        (OSError(errno.ENOSPC, "full"), DiskFull),
        (ModuleNotFoundError("no torch", name="torch"), PackageMissing),
        (ZeroDivisionError("x"), EngineError),
    ],
)
def test_any_exception_becomes_one_of_the_tree(raised, kind):
    assert isinstance(as_orograph_error(raised), kind)


def test_ends_go_into_the_schedule():
    schedule = Schedule([JOB, make_job(1)], Policy(attempts=1))
    first, second = schedule.next_attempt(0.0), schedule.next_attempt(0.0)
    receipt = Receipt(JOB.id, JOB.run_key, Status.DONE, JOB.manifest_key)
    assert settle(schedule, first, receipt).status is Status.DONE
    assert settle(schedule, second, SourceCorrupt("bad")).status is Status.FAILED
    assert schedule.finished
    assert deadline_error(first, Policy(deadline_s=5.0), "fill").stage == "fill"
