"""Index of the bundled weights: name, file and sha256 of each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from orograph.pipeline.core.yaml_text import parse_yaml

BUNDLED: Final = Path(__file__).parents[1] / "weights"


def bundled_index(kind: str) -> dict[str, dict[str, str]]:
    """Return the bundled weights of a kind (`superres`, `bare-earth`): `file` and `sha256` by name."""
    path = BUNDLED / "index.yaml"
    listed = (parse_yaml(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}
    return {name: entry for name, entry in listed.items() if entry["kind"] == kind}
