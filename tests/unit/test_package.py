"""`import orograph` offers the public names, each imported when it is first used."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import orograph

ROOT = Path(__file__).resolve().parents[2]


def test_every_public_name_is_there_and_documented() -> None:
    for name in orograph.__all__:
        assert getattr(orograph, name) is not None
        assert name == "__version__" or getattr(orograph, name).__doc__
    assert sorted(orograph.__all__) == dir(orograph)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        orograph.nonsense  # noqa: B018


def test_the_import_alone_is_light() -> None:
    code = "import sys, orograph; print([m for m in ('torch', 'xarray', 'numpy', 'rasterio') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_the_module_runs_as_the_command() -> None:
    arguments = [sys.executable, "-P", "-m", "orograph", "--version"]
    done = subprocess.run(
        arguments, capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.stdout.startswith("orograph ")


def test_modules_of_the_current_folder_are_not_imported(tmp_path: Path) -> None:
    for name in ("pipeline", "infra", "stac", "typer"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    arguments = [sys.executable, "-P", "-m", "orograph", "--version"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith("orograph ")


NOT_IMPORTED = {
    "gcp-storage-emulator",
    "mypy",
    "pytest-timeout",
    "pytest-xdist",
    "ruff",
    "mkdocs-material",
    "mkdocstrings",
    "adlfs",
    "gcsfs",
}
"""Programs, plugins of pytest and mkdocs, and file systems that fsspec imports by protocol; stubs begin with `types-`."""
MODULES = {"pyyaml": "yaml", "pillow": "PIL", "odc-geo": "odc", "odc-stac": "odc"}
"""Modules that are not named like their package."""


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = (project["dependencies"], *project["optional-dependencies"].values())
    names = (re.split(r"[\[<>=]", entry)[0].lower() for listed in lists for entry in listed)
    return [name for name in names if name != "orograph"]


def test_a_package_is_required_once() -> None:
    names = requirements()
    assert len(names) > 50
    assert {name for name in names if names.count(name) > 1} == set()


def test_every_required_package_is_imported() -> None:
    folders = ("pipeline", "infra", "stac", "tests", "docs")
    text = "\n".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", text, re.MULTILINE))
    imported |= set(re.findall(r'importorskip\("(\w+)', text))
    asked = {name for name in requirements() if not name.startswith("types-")} - NOT_IMPORTED
    assert {name for name in asked if MODULES.get(name, name.replace("-", "_")) not in imported} == set()
