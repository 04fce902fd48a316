"""Shell completion of source ids, tile ids and product names; `orograph --install-completion` switches it on.

A completion must never fail or wait: errors give no proposals.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

PRODUCTS: Final = ("geographic", "hgt1", "hgt3", "contours")
_ITEM: Final = re.compile(r"[EW]\d{4}[NS]\d{4}")


def complete_source(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Ids and titles of the catalogue's sources."""
    return [(name, title) for name, title in _sources(ctx) if name.startswith(incomplete)]


def complete_data(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Complete `ID=` of `--data`; the shell completes the path after it."""
    return [] if "=" in incomplete else [(f"{name}=", title) for name, title in complete_source(ctx, incomplete)]


def complete_tile(ctx: Any, incomplete: str) -> list[str]:
    """Tiles published in a local store: from `--store`, the environment, or the default store."""
    store = Path(str(ctx.params.get("store") or os.environ.get("OROGRAPH_STORE") or "runs/store"))
    found: set[str] = set()
    with suppress(OSError):
        folders = [folder for folder in (store / "tiles").iterdir() if folder.is_dir()]
        found = {folder.name for folder in folders if _ITEM.fullmatch(folder.name)}
    return sorted(name for name in found if name.startswith(incomplete.upper()))


def complete_product(incomplete: str) -> list[str]:
    """Products of `orograph export`."""
    return [name for name in PRODUCTS if name.startswith(incomplete)]


def _sources(ctx: Any) -> list[tuple[str, str]]:
    import yaml

    from orograph.pipeline.core.yaml_text import parse_yaml
    from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE

    with suppress(OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        place = Path(ctx.params.get("catalogue") or BUNDLED_CATALOGUE)
        parts = sorted(place.glob("*.yaml")) if place.is_dir() else [place]
        documents = [parse_yaml(part.read_text(encoding="utf-8")) for part in parts]
        return [(str(entry["id"]), str(entry.get("title", ""))) for one in documents for entry in one["sources"]]
    return []
