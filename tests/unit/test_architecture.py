"""The layers: pipeline imports nobody else, stac only pipeline, and heavy or forbidden libraries stay where they belong."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = {
    "pipeline": {"infra", "stac", "ray", "s3fs", "boto3", "botocore", "aiobotocore", "tests"},
    "stac": {"infra", "ray", "s3fs", "boto3", "botocore", "aiobotocore", "tests"},
    "infra": {"tests"},
}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_a_package_imports_only_what_it_may(package):
    offences = {
        str(path.relative_to(ROOT)): sorted(imported(path) & FORBIDDEN[package])
        for path in (ROOT / package).rglob("*.py")
        if imported(path) & FORBIDDEN[package]
    }
    assert offences == {}


def test_top_level_holds_exactly_the_agreed_folders():
    known = {"pipeline", "infra", "stac", "tests", "deploy", "docs"}
    folders = {
        p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".") and (p / "__init__.py").exists()
    }
    assert folders <= known
