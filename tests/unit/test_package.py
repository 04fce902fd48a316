"""`import orograph` offers the public names, each imported when it is first used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import orograph
from orograph.pipeline.core.extras import EXTRA_OF

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
    code += "; orograph.height; print([m for m in ('torch', 'xarray', 'rioxarray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["[]", "[]"]


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
    "rfc3339-validator",
}
"""Programs, plugins of pytest and mkdocs, file systems that fsspec imports by protocol, and a format of jsonschema.

Stubs begin with `types-`.
"""
MODULES = {"pyyaml": "yaml", "pillow": "PIL", "odc-geo": "odc", "odc-stac": "odc"}
"""Modules that are not named like their package."""


DEVELOPMENT = {"dev", "docs", "bench"}
"""Extras that the product itself must not need."""
PEERS = {"geoutils", "pynvml", "qgis", "stackstac", "xdem"}
"""Imports of benchmarks and rehearsals: peers and QGIS, which live in environments of their own, and the driver of lent GPUs."""


def listed() -> dict[str, set[str]]:
    """Modules of the required packages by extra; those of the base installation under an empty name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    names = {extra: {re.split(r"[\[<>=]", entry)[0].lower() for entry in entries} for extra, entries in lists.items()}
    return {
        extra: {MODULES.get(name, name.replace("-", "_")) for name in found - {"orograph"}}
        for extra, found in names.items()
    }


def imports_of(*folders: str) -> dict[str, str]:
    """First names of the packages that modules import, also inside functions, with one place each."""
    found = {}
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str | None] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "importorskip":
                names = [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
            firsts = {str(name).partition(".")[0] for name in names}
            found.update({first: str(path) for first in firsts if not path.with_name(f"{first}.py").exists()})
    ours = {*sys.stdlib_module_names, "orograph", "tests"}
    return {name: place for name, place in found.items() if name not in ours}


def test_every_import_of_the_product_is_declared_and_names_its_extra() -> None:
    packages = listed()
    imported = imports_of("pipeline", "infra", "stac")
    declared = set().union(*(modules for extra, modules in packages.items() if extra not in DEVELOPMENT))
    assert {name: place for name, place in imported.items() if name not in declared} == {}
    optional = set(imported) - packages[""]
    assert {name for name in optional if name not in packages.get(EXTRA_OF.get(name, ""), ())} == set()
    assert len(optional) > 8


def test_every_import_of_tests_and_documentation_is_declared() -> None:
    declared = set().union(*listed().values()) | PEERS
    imported = imports_of("tests", "docs", "deploy")
    assert {name: place for name, place in imported.items() if name not in declared} == {}


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
