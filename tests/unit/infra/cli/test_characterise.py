"""`orograph sources characterise`: measures, prints, and writes the catalogue entry."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from affine import Affine
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import ConfigError, SourceUnknown
from orograph.pipeline.sources.catalogue import SourceCatalogue
from orograph.pipeline.sources.sensor import SensorModel
from tests.support.made import source
from tests.support.sensors import power_law_terrain, seen_by
from tests.support.tiffs import write_heights

RADAR = SensorModel(footprint_m=25.0, noise_m=2.0, noise_per_slope_m=2.0, noise_range_m=20.0, step_m=1.0)


@pytest.fixture(scope="module")
def rasters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sensors")
    terrain = power_law_terrain(3 * 80, seed=31)
    coarse, _ = seen_by(RADAR, terrain, factor=3, seed=32)
    fine, radar = folder / "fine.tif", folder / "radar.tif"
    write_heights(fine, terrain.astype(np.float32), transform=Affine(10, 0, 4_300_000, 0, -10, 3_100_000))
    write_heights(radar, coarse, transform=Affine(30, 0, 4_300_000, 0, -30, 3_100_000))
    return radar, fine


def test_the_result_is_printed_and_written_into_the_entry(rasters, tmp_path):
    radar, fine = rasters
    catalogue = tmp_path / "catalogue.yaml"
    entry = source(radar, id="radar", resolution_m=30.0).model_dump(mode="json", exclude_none=True)
    catalogue.write_text(yaml.safe_dump({"sources": [entry]}))
    command = ["sources", "characterise", str(radar), "--finer", str(fine)]
    made = CliRunner().invoke(app, [*command, "-c", str(catalogue), "--source", "radar"])
    assert made.exit_code == 0, made.output
    assert "footprint, along columns / rows" in made.output
    sensor = SourceCatalogue.load(catalogue).get("radar").sensor
    assert sensor is not None
    assert sensor.footprint_m == pytest.approx(25.0, abs=4.0)
    assert sensor.step_m == 1.0
    assert sensor.errors.footprint_m is not None
    assert "radar.tif against fine.tif" in sensor.origin
    document = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(document.output)["footprint_m"] == sensor.footprint_m
    with pytest.raises(SourceUnknown, match="unknown source 'other'"):
        CliRunner().invoke(app, [*command, "-c", str(catalogue), "--source", "other"], catch_exceptions=False)


def test_mistakes_are_named(rasters):
    radar, fine = rasters
    for arguments, message in (
        ([str(fine), "--finer", str(radar)], "has pixels of 30 m"),
        ([str(radar), "--mask", str(fine)], "a mask without a finer model"),
        ([str(radar), "--source", "x"], "belong together"),
    ):
        with pytest.raises(ConfigError, match=message):
            CliRunner().invoke(app, ["sources", "characterise", *arguments], catch_exceptions=False)
