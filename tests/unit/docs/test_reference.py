"""The generated reference pages contain what the code has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline.settings import ProcessingSettings, RunSettings

ROOT = Path(__file__).resolve().parents[3]
pytest.importorskip("mkdocs")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("reference_hook", ROOT / "docs/hooks/reference.py")
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    return {name: page() for name, page in hook.PAGES.items()}


def test_every_command_is_described(pages: dict[str, str]) -> None:
    for command in ("run", "plan", "harmonise", "coregister", "superres", "export", "serve", "catalog verify"):
        assert f"orograph {command}" in pages["commands"]
    assert str(Path.home()) not in pages["commands"] + pages["settings"]


def test_every_setting_is_described(pages: dict[str, str]) -> None:
    for settings in (ProcessingSettings, RunSettings, ServiceSettings):
        for name in settings.model_fields:
            assert name.lower() in pages["settings"].lower()


def test_every_field_of_the_profile_is_described(pages: dict[str, str]) -> None:
    for name in ("dem:vertical_datum", "dem:sources", "dem:operations"):
        assert f"`{name}`" in pages["stac"]


def test_the_navigation_names_pages_that_exist(pages: dict[str, str]) -> None:
    def paths(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        members = entry.values() if isinstance(entry, dict) else entry
        return [path for member in members for path in paths(member)]  # type: ignore[attr-defined]

    generated = {f"reference/{name}.md" for name in pages}
    listed = set(paths(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert not {path for path in listed - generated if not (ROOT / "docs" / path).exists()}
