"""Rate and time left of work over files, as lines or JSON lines."""

import io
import json

from rich.console import Console

from orograph.infra.reporting.transfer_progress import TransferProgress, TransferStep, figures


def test_the_time_left_follows_the_rate_and_is_unknown_before_the_first_file():
    assert figures(10, 30, 2_000, 5.0) == {
        "files_done": 10, "files": 30, "bytes": 2_000, "files_per_s": 2.0, "bytes_per_s": 400, "seconds_left": 10.0,
    }  # fmt: skip
    assert figures(0, 30, 0, 5.0)["seconds_left"] is None
    assert figures(0, 30, 0, 0.0)["bytes_per_s"] == 0


def test_the_end_is_always_shown(capsys):
    text = io.StringIO()
    with TransferProgress("indexing x", console=Console(file=text, width=200)) as progress:
        progress.show(TransferStep(1, 4, 10))
        progress.show(TransferStep(4, 4, 4_000_000))
    assert text.getvalue().count("\n") == 1
    assert "indexing x: 4 of 4 files" in text.getvalue()
    with TransferProgress("fetching", as_json=True) as progress:
        progress.show(TransferStep(2, 2, 7))
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["what"], line["bytes"]) == ("progress", "fetching", 7)
