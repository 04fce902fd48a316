"""Generates the reference pages from the code: commands, settings, the STAC profile and the tree of errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel
from typer.cli import get_docs_for_click

from orograph.infra.cli.app import app
from orograph.infra.cli.settings_table import rows_of
from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline import errors
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.stac.documents.dem_profile import PROFILE_FILE


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to the site."""
    for name, page in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=page()))
    return files


def commands() -> str:
    """Every command with its arguments and options, as `--help` shows them."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="orograph"), name="orograph")
    return without_home(text)


def without_home(text: str) -> str:
    """Write the home directory as `~`: defaults below it differ between machines."""
    return text.replace(f"{Path.home()}/", "~/")


def settings() -> str:
    """Every setting with its default, variable and meaning."""
    parts = ["# Settings\n"]
    for title, text, model in (
        (
            "Processing",
            "Part of every run key: equal settings and inputs give equal heights. Set by flags and `--set NAME=VALUE`.",
            ProcessingSettings,
        ),
        ("Run", "Change no height. Set by flags, then environment variables.", RunSettings),
        ("Service", "For `orograph serve`. Set by flags, then environment variables.", ServiceSettings),
    ):
        parts += [f"## {title}\n", f"{text}\n", table(model)]
    return "\n".join(parts)


def table(model: type[BaseModel]) -> str:
    """The settings of a model as a Markdown table."""
    rows = [
        (f"`{row.variable or row.name}`", f"`{row.default}`" if row.default else "", row.meaning)
        for row in rows_of(model)
    ]
    return markdown_table(("setting", "default", "meaning"), [(a, without_home(b), c) for a, b, c in rows])


def stac() -> str:
    """Fields of the STAC profile from its JSON schema."""
    schema = json.loads(PROFILE_FILE.read_text(encoding="utf-8"))
    fields = schema["definitions"]["fields"]["properties"] if "definitions" in schema else {}
    rows = [
        (f"`{name}`", str(entry.get("type", "")), " ".join(str(entry.get("description", "")).split()))
        for name, entry in fields.items()
    ]
    head = f"# STAC profile\n\n{schema.get('description', 'Fields of items and collections.')}\n\n"
    return head + markdown_table(("field", "type", "meaning"), rows)


def error_tree() -> str:
    """The tree of errors with exit codes."""
    return f"# Errors\n\n```text\n{errors.__doc__}\n```\n"


def markdown_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {"commands": commands, "settings": settings, "stac": stac, "errors": error_tree}
