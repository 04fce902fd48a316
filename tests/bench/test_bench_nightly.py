"""One command submitted night after night to a real Ray head: every submission runs, the list of jobs stays short.

    OROGRAPH_NIGHTS=100 python -m pytest tests/bench/test_bench_nightly.py -m bench -s

The job's command prints the version: submission, names and the job list are what is tried.
"""

from __future__ import annotations

import os
import time

import pytest

from orograph.infra.cluster.submit import Submission, follow, submit
from orograph.infra.engines.ray_head import jobs_of
from tests.support.manifests import ROOT
from tests.support.ray_head import running_head

pytestmark = [pytest.mark.bench, pytest.mark.ray, pytest.mark.filterwarnings("ignore")]

NIGHTS = int(os.environ.get("OROGRAPH_NIGHTS", "100"))


def test_every_night_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    nightly = Submission(("--version",), installed=True, environment=(("PYTHONPATH", str(ROOT)),))
    names, said, began_s = [], [], time.monotonic()
    with running_head(cpus=2) as head:
        for name, value in head.environment().items():
            monkeypatch.setenv(name, value)
        for night in range(NIGHTS):
            client, name = submit(head.dashboard, nightly, lambda _text: None)
            output: list[str] = []
            assert follow(client, name, output.append) == 0, "".join(output)
            names.append(name)
            said.append("".join(output))
            if night % 10 == 9:
                listed = [job for job in jobs_of(client) if job.key == nightly.key]
                print(f"{night + 1} submissions, {len(listed)} listed, {time.monotonic() - began_s:.0f} s", flush=True)
                assert len(listed) <= 20
    assert len(set(names)) == NIGHTS
    assert names[-1] == f"{nightly.key}-{NIGHTS}"
    assert all("orograph " in text for text in said)
