"""`--settings`: every setting with its default and meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import typer
from pydantic import BaseModel

from orograph.infra.reporting.console import out
from orograph.pipeline.settings import ProcessingSettings, RunSettings


class SettingRow(NamedTuple):
    """One setting; `variable` is empty for processing settings, which have no environment variable."""

    name: str
    variable: str
    default: str
    meaning: str


def rows_of(settings: type[BaseModel]) -> Iterator[SettingRow]:
    """The settings of a model in their order."""
    prefix = str(settings.model_config.get("env_prefix") or "")
    for name, field in settings.model_fields.items():
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        shown = "" if default is None else str(default)
        yield SettingRow(name, prefix and f"{prefix}{name}".upper(), shown, " ".join((field.description or "").split()))


def _print(wanted: bool) -> None:
    if not wanted:
        return
    from rich.table import Table

    for title, settings in (
        ("Processing settings (--set NAME=VALUE): part of every run key", ProcessingSettings),
        ("Run settings (environment variables): change no height", RunSettings),
    ):
        table = Table("name", "default", "meaning", title=title, title_justify="left", show_lines=False)
        for row in rows_of(settings):
            table.add_row(row.variable or row.name, row.default, row.meaning.replace("`", ""))
        out.print(table)
    raise typer.Exit


SettingsOption = Annotated[
    bool,
    typer.Option(
        "--settings", help="List every setting with its default and meaning, and stop.", is_eager=True, callback=_print
    ),
]
