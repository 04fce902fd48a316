"""`orograph sources list` and `show`, and the gate before unverified sources."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.runs.request import Request
from orograph.infra.service.assemble import TilePlanner
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import ConfigError, SourceMissing, SourceUnknown, SourceUnverified
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.pipeline.sources.catalogue import SourceCatalogue
from tests.support.made import source


class NothingPublished:
    store = None

    def get(self, _tile):
        return None


def run(*words):
    return CliRunner().invoke(app, ["sources", *words])


def test_the_list_is_filtered_and_json():
    listed = json.loads(run("list", "--country", "de", "--coarsest", "1", "--json").output)
    assert len(listed) == 16
    assert {one["state"] for one in listed} == {"ready", "unverified", "fetch", "download"}
    table = run("list", "--country", "SK").output
    assert "sk-dmr5" in table
    assert "unverified" in table
    assert json.loads(run("list", "--licence", "etalab", "--area", "8.5,41.5,9,42", "--json").output)


def test_show_says_what_to_confirm():
    document = json.loads(run("show", "at-dtm1", "--json").output)
    assert document["vertical_name"] == "EVRF2000 Austria height"
    assert document["obstacle"]["error"] == "SourceUnverified"
    assert "GHA (EPSG:5778)" in run("show", "at-dtm1").output
    with pytest.raises(SourceUnknown, match="known are at-dtm1"):
        CliRunner().invoke(app, ["sources", "show", "at-dtm"], catch_exceptions=False)


def test_show_names_assumed_values_of_a_sensor(tmp_path):
    entry = source(tmp_path / "a.tif").model_dump(mode="json", exclude={"sensor"}) | {"sensor": "eu-dem"}
    path = tmp_path / "catalogue.yaml"
    path.write_text(yaml.safe_dump({"sources": [entry]}))
    words = ["show", entry["id"], "-c", str(path)]
    assert "sensor.noise_m" in json.loads(run(*words, "--json").output)["assumed"]
    (line,) = (line for line in run(*words).output.splitlines() if line.startswith("assumed"))
    assert "sensor.footprint_m; sensor.noise_m" in line


def test_plans_take_unverified_sources_only_if_accepted():
    words = ["plan", "--source", "gedtm30-std", "--source", "sk-dmr5", "--tile", "E4350N2650"]
    with pytest.raises(ConfigError, match="standard deviations"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    words = ["plan", "--source", "sk-dmr5", "--tile", "E4350N2650"]
    with pytest.raises(SourceUnverified, match=r"to confirm: horizontal CRS.*--accept-unverified sk-dmr5"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    with pytest.raises(SourceMissing, match="archives"):
        CliRunner().invoke(app, [*words, "--accept-unverified", "sk-dmr5"], catch_exceptions=False)


def test_a_request_without_sources_takes_those_that_are_ready():
    ids = {source.id for source in Request().sources()}
    assert "glo-30" in ids
    assert "gedtm30" not in ids
    assert "gedtm30" in {source.id for source in Request(accept_unverified=("gedtm30",)).sources()}
    with pytest.raises(SourceUnknown):
        Request(accept_unverified=("gedtm31",)).sources()


def test_orders_of_unverified_sources_are_rejected():
    planner = TilePlanner(NothingPublished(), SourceCatalogue.load().sources, RunSettings(), ProcessingSettings())
    with pytest.raises(SourceUnverified, match="scale"):
        planner(Tile.parse("E4350N2650"), ("gedtm30",), ProcessingSettings())


def test_the_map_is_drawn(tmp_path):
    made = run("map", str(tmp_path / "map.html"), "--country", "AT")
    assert made.exit_code == 0, made.output
    page = (tmp_path / "map.html").read_text()
    assert "at-dgm10" in page
    assert page.count("<path") > 100
    assert "<script" not in page
    with pytest.raises(ConfigError, match=r"\.png, \.svg or \.html"):
        CliRunner().invoke(app, ["sources", "map", str(tmp_path / "map.gif")], catch_exceptions=False)
