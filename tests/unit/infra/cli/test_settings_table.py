"""`--settings` lists every setting with its default and meaning."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.cli.settings_table import rows_of
from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline.settings import ProcessingSettings, RunSettings


@pytest.mark.parametrize("settings", [ProcessingSettings, RunSettings])
def test_every_setting_has_a_meaning(settings: type[ProcessingSettings]) -> None:
    rows = list(rows_of(settings))
    assert [row.name for row in rows] == list(settings.model_fields)
    assert [row.name for row in rows if not row.meaning] == []


def test_run_settings_name_their_variable() -> None:
    assert {row.name: row.variable for row in rows_of(RunSettings)}["store"] == "OROGRAPH_STORE"
    assert {row.variable for row in rows_of(ProcessingSettings)} == {""}
    assert next(rows_of(ServiceSettings)).variable.startswith("OROGRAPH_SERVICE_")


@pytest.mark.parametrize("command", ["plan", "run"])
def test_the_option_lists_and_stops(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--settings"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for name in (*ProcessingSettings.model_fields, "OROGRAPH_DEADLINE_S"):
        assert name in shown.output
