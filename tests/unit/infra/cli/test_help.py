"""Help pages and shell completion of every command."""

import re
import socket
from types import SimpleNamespace

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.cli.common import ending
from orograph.infra.cli.completion import PRODUCTS, complete_data, complete_product, complete_source, complete_tile
from orograph.pipeline.exports.cell_job import PRODUCTS as MADE
from orograph.pipeline.settings import ProcessingSettings, RunSettings


def commands(command, words=()):
    yield words
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


def help_of(*words):
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("words", list(commands(get_command(app))), ids=" ".join)
def test_flags_have_no_type_and_values_have_one(words):
    page = help_of(*words)
    assert "<bool>" not in page
    assert "list[" not in page
    assert "range>" not in page


def test_brackets_survive():
    assert "orograph[video]" in help_of("implicit", "fit")
    assert "[#sha256=...]" in re.sub(r"\s+", "", help_of("superres"))


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


def test_completion(tmp_path):
    (tmp_path / "tiles" / "E4300N2650").mkdir(parents=True)
    (tmp_path / "tiles" / "N47E010").mkdir()
    context = SimpleNamespace(params={"store": str(tmp_path)})
    assert complete_tile(context, "e43") == ["E4300N2650"]
    assert complete_tile(context, "W") == []
    assert ("glo-30", "Copernicus DEM GLO-30") in complete_source(context, "glo")
    assert complete_data(context, "nl-")[0][0] == "nl-ahn4="
    assert complete_product("hgt") == ["hgt1", "hgt3"]
    assert PRODUCTS == MADE
    broken = SimpleNamespace(params={"catalogue": tmp_path / "none.yaml", "store": str(tmp_path / "none")})
    assert complete_source(broken, "") == []
    assert complete_tile(broken, "") == []


def test_completion_runs_in_the_shell():
    env = {"_OROGRAPH_COMPLETE": "complete_bash", "COMP_WORDS": "orograph run --source glo", "COMP_CWORD": "3"}
    result = CliRunner().invoke(app, [], prog_name="orograph", env=env)
    assert "glo-30" in result.output


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
