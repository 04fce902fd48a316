"""Completion of tiles, sources and frames."""

from types import SimpleNamespace

from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.cli.completion import PRODUCTS, complete_data, complete_product, complete_source, complete_tile
from orograph.pipeline.exports.cell_job import PRODUCTS as MADE


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
