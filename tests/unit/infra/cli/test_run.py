"""The command as a person meets it: exit codes, dry runs, JSON."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orograph.infra.cli.options import processing_settings
from orograph.infra.runs.request import Request
from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline.core.network_adjustment import AdjustmentFile
from orograph.pipeline.errors import ConfigError, SourceUnknown
from orograph.pipeline.settings import RunSettings
from tests.support.commands import run

ROOT = Path(__file__).resolve().parents[4]


def test_exit_codes(catalogue, tmp_path):
    store = tmp_path / "store"
    assert run("run", "-c", catalogue, "--store", store, "-s", "atlantis") == 2
    assert run("run", "-c", catalogue, "--store", store, "-t", "../x") == 2
    assert run("run", "-c", catalogue, "--store", store, "--set", "blend=3") == 2
    assert run("run", "-c", catalogue, "--store", store, "-t", "E5000N3000") == 1
    assert run("run", "-c", catalogue, "--store", store, "--data", f"made={tmp_path}/none/*.tif") == 4


def test_settings_come_from_flags_and_bad_ones_are_named():
    settings = processing_settings(25.0, "EPSG:5730", ["blend_width_m=50", "stages=regrid,blend"])
    assert (settings.pixel_size_m, settings.target_frame, settings.blend_width_m) == (25.0, "EPSG:5730", 50.0)
    assert settings.stages == ("regrid", "blend")
    with pytest.raises(ConfigError, match="is not a setting"):
        processing_settings(None, None, ["nonsense=1"])
    with pytest.raises(ConfigError, match="does not divide"):
        processing_settings(3.0, None, [])


def test_data_options_place_a_sources_files_and_choose_it(catalogue, tmp_path):
    request = Request(catalogue, data=(f"made={tmp_path}/*.tif", "made=s3://bucket/x.tif"))
    (chosen,) = request.sources()
    assert chosen.data.hrefs == (f"{tmp_path}/*.tif", "s3://bucket/x.tif")
    with pytest.raises(ConfigError):
        Request(catalogue, data=("made",)).sources()
    with pytest.raises(SourceUnknown):
        Request(catalogue, data=("other=x.tif",)).sources()


def test_help_answers_without_loading_the_heavy_libraries():
    code = "import sys, orograph.infra.cli.app; print([m for m in ('torch', 'ray', 'matplotlib', 'numba', 'numpy', 'pyproj', 'scipy', 'rasterio', 'odc', 'shapely') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments", [("--engine", "sparks"), ("--workers", "many"), ("--memory-limit-mb", 0), ("--engine", "")]
)
def test_a_value_no_run_can_take_is_a_sentence_and_exit_code_2(catalogue, arguments, capsys):
    assert run("run", "-c", catalogue, *arguments) == 2
    assert "ConfigError: setting" in capsys.readouterr().err


def test_a_variable_set_to_nothing_counts_as_not_set(monkeypatch):
    expected = RunSettings.with_flags()
    for name in ("SCRATCH", "WORKERS", "GRIDS_DIR", "S3_ENDPOINT_URL", "STORE"):
        monkeypatch.setenv(f"OROGRAPH_{name}", "")
    assert RunSettings.with_flags() == expected
    monkeypatch.setenv("OROGRAPH_SERVICE_AUTH", "")
    assert ServiceSettings.with_flags().auth is None
    monkeypatch.setenv("OROGRAPH_SERVICE_OVERRIDES", "superres,fill_max_m")
    with pytest.raises(ConfigError, match="overrides"):
        ServiceSettings.with_flags()


def test_adjustments_must_be_for_the_frame_however_it_is_named(tmp_path):
    kept = AdjustmentFile(target_frame="EPSG:9389", model="constant", sources={})
    path = tmp_path / "adjustment.json"
    path.write_text(kept.model_dump_json())
    asked = [f"adjustments={path}"]
    assert processing_settings(None, None, ["target_frame=EPSG:9389", *asked]).target_frame == "EPSG:9389"
    assert processing_settings(None, "EPSG:9389", asked).target_frame == "EPSG:9389"
    with pytest.raises(ConfigError, match="adjusts heights in EPSG:9389"):
        processing_settings(None, None, asked)
    path.write_text(kept.model_copy(update={"target_frame": "EPSG:5621"}).model_dump_json())
    with pytest.raises(ConfigError, match="adjusts heights in EPSG:5621"):
        processing_settings(None, None, ["target_frame=EPSG:9389", *asked])


@pytest.mark.parametrize("wrong", ["superres=superres-typo", "superres_ensemble=true", "device=cuda"])
def test_super_resolution_that_cannot_be_is_refused_when_planned(catalogue, wrong, capsys):
    """Where no source was coarse they did nothing but make another key."""
    assert run("plan", "-c", catalogue, "-p", 50, "--set", "coregistration=none", "--set", wrong) == 2
    assert "ConfigError" in capsys.readouterr().err
    assert run("plan", "-c", catalogue, "-p", 50, "--set", "superres=none") == 0
