"""Long work shows that it goes on, short work shows nothing."""

import io
import time

from rich.console import Console

from orograph.infra.reporting.work_progress import WorkProgress, duration
from orograph.pipeline.core.progress import listening, report, tracked


def lines_of(seconds_apart, monkeypatch, steps=4):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    with WorkProgress(console=Console(file=out)):
        for step in range(steps + 1):
            report("fitting", step, steps)
            clock[0] += seconds_apart
    return out.getvalue().splitlines()


def test_a_log_gets_lines_with_the_time_left(monkeypatch):
    lines = lines_of(20.0, monkeypatch)
    assert lines[0] == "fitting: 25%, about 60 s left"
    assert lines[-1] == "fitting: 100%, about 0 s left"


def test_short_work_is_silent(monkeypatch):
    assert lines_of(0.1, monkeypatch) == []


def test_a_terminal_gets_a_bar(monkeypatch):
    out = io.StringIO()
    clock = [0.0]
    monkeypatch.setattr("orograph.infra.reporting.work_progress.time.monotonic", lambda: clock[0])
    with WorkProgress(console=Console(file=out, force_terminal=True, width=120)):
        for step in range(5):
            report("fitting", step, 4)
            clock[0] += 3.0
    assert "fitting" in out.getvalue()
    assert "left" in out.getvalue()


def test_nothing_listens_outside_the_block_or_for_json():
    out = io.StringIO()
    with WorkProgress(shown=False, console=Console(file=out)):
        assert list(tracked([1, 2], "x")) == [1, 2]
    report("x", 1, 2)
    assert out.getvalue() == ""


def test_tracked_reports_every_finished_item():
    seen = []
    with listening(lambda step, done, due: seen.append((step, done, due))):
        assert list(tracked("ab", "letters")) == ["a", "b"]
    assert seen == [("letters", 0, 2), ("letters", 1, 2), ("letters", 2, 2)]


def test_durations_read_well():
    assert [duration(s) for s in (5, 600, 7200)] == ["5 s", "10 min", "2.0 h"]
