import io
import json

from rich.console import Console

from orograph.infra.engines.protocol import Event, Outcome, Receipt, Status
from orograph.infra.reporting.progress import JsonLines, LiveBars, PlainLines, describe, overall, reporter
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import SourceCorrupt
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings

JOB = Job(Tile(4200, 3000), (), ProcessingSettings())
DONE = Outcome(
    JOB, Status.DONE, Receipt(JOB.tile.id, "k", Status.DONE, "m", seconds={"regrid": 1.5}, bytes_written=3 * 2**20)
)
FAILED = Outcome(
    JOB, Status.FAILED, error=SourceCorrupt("damaged", tile=JOB.tile.id, source="nl", remedy="fetch it again")
)


def test_a_tiles_bar_grows_through_all_stages_and_never_back():
    stages = ("fetch", "coregister", "windows", "export", "commit")
    seen = [overall(Event("t", stage, part / 4)) for stage in stages for part in range(5)]
    assert seen == sorted(seen)
    assert abs(seen[-1] - 1.0) < 1e-9


def test_plain_lines_say_how_each_tile_ended_and_what_is_left():
    out = io.StringIO()
    lines = PlainLines(2, Console(file=out, width=200))
    lines.event(Event(JOB.tile.id, "windows", 0.5))
    lines.outcome(DONE)
    lines.outcome(FAILED)
    first, second = out.getvalue().splitlines()
    assert first.startswith("1/2 E4200N3000 done in 1.5 s, 3.0 MB")
    assert "damaged" in second
    assert "fetch it again" in second


def test_json_lines_are_one_document_each(capsys):
    lines = JsonLines()
    for fraction in (0.0, 0.5, 1.0):
        lines.event(Event(JOB.tile.id, "windows", fraction))
    lines.outcome(FAILED)
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["event"] for document in documents] == ["stage", "tile"]
    assert documents[1]["error"] == "SourceCorrupt"
    assert documents[1]["source"] == "nl"


def test_a_terminal_gets_bars_and_a_pipe_gets_lines():
    assert isinstance(reporter(1, as_json=False, console=Console(force_terminal=True)), LiveBars)
    assert isinstance(reporter(1, as_json=False, console=Console(file=io.StringIO())), PlainLines)
    assert isinstance(reporter(1, as_json=True), JsonLines)


def test_bars_follow_tiles_and_drop_them_when_they_end():
    out = io.StringIO()
    with LiveBars(1, Console(file=out, force_terminal=True, width=120, highlight=False)) as bars:
        bars.event(Event(JOB.tile.id, "windows", 0.5))
        bars.outcome(DONE)
    assert describe(DONE) in out.getvalue()
