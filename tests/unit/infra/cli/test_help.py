"""Help pages and shell completion of every command."""

import re
import socket

import pytest
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.cli.common import ending
from orograph.pipeline.settings import ProcessingSettings, RunSettings


def help_of(*words):
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.output


def test_defaults_in_help_are_those_of_the_settings():
    page = re.sub(r"[│\s]+", " ", help_of("run"))
    run = RunSettings.model_fields
    assert f"else {run['store'].default}" in page
    assert f"({run['engine'].default})" in page
    assert f"({run['memory_limit_mb'].default})" in page
    assert f"({ProcessingSettings().pixel_size_m:g})" in page
    assert ProcessingSettings().target_frame in page


def test_derive_commands_are_named_after_their_results():
    page = help_of("derive")
    for name in ("slope", "shade", "contours", "terrain"):
        assert f" {name} " in page


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("status", "--store", "{folder}/none"), 4),
        (("export", "--store", "{folder}/none"), 4),
        (("derive", "slope", "E4300N2650", "s.tif", "--store", "{folder}/none"), 4),
        (("superres", "{folder}/none.tif", "{folder}/out.tif"), 4),
        (("height", "6.0", "50.7", "100", "--from", "EPSG:5709", "--to", "EPSG:9999"), 2),
        (("serve", "--store", "{folder}", "--port", "{busy}"), 2),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else str(value),
)
def test_exit_codes_are_those_of_the_manual(words, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        filled = [word.format(folder=tmp_path, busy=taken.getsockname()[1]) for word in words]
        assert ending(lambda: app(filled, standalone_mode=True)) == code
    assert not list(tmp_path.iterdir()), "something was written"
