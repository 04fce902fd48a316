"""`orograph height`: one height from frame to frame."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import (
    UsageError,
)


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


class TestHeight:
    def test_it_tells_height_operation_and_accuracy(self, tmp_path):
        answer = json.loads(
            run("height", 6.0209, 50.7546, 100, "--from", "EPSG:5709", "--json", "--grids-dir", tmp_path)
        )
        assert answer["height_to_m"] == pytest.approx(100.028)
        assert answer["operation"] == "derived:nap-evrf2007"
        assert answer["derived"] is True
        assert answer["accuracy_m"] == 0.02

    def test_western_longitudes_are_no_options(self, shared):
        answer = run(
            "height", -3.7, 40.45, 600, "--from", "EPSG:5782", "--to", "EPSG:4937", "--grids-dir", shared("proj-grids")
        )
        assert "651.1130 m" in answer
        assert "es_ign_egm08-rednap.tif" in answer

    def test_a_way_can_be_named(self, shared):
        words = ("height", 8.5, 50.0, 100, "--from", "EPSG:5773", "--via", "EPSG:7837", "--json")
        answer = json.loads(run(*words, "--grids-dir", shared("proj-grids")))
        assert answer["steps"] == ["EPSG:10084", "EPSG:10294 (inverse)", "EPSG:7838"]

    def test_frames_are_listed(self):
        assert "NAP height" in run("height", "--frames")
        assert json.loads(run("height", "--frames", "--json"))["EPSG:5621"]["name"] == "EVRF2007 height"

    def test_incomplete_questions_are_refused(self):
        with pytest.raises(UsageError):
            run("height", 6, 50, 100)
        with pytest.raises(UsageError):
            run("height", 6, 50, 100, "--from", "EPSG:5709", "--method", "guess")
