"""Local files that travel with a job: relative paths inside a catalogue would point into the job's own folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from orograph.pipeline.sources.catalogue import absolute_href

_PATHS: Final = {"href", "hrefs", "cells", "path"}
"""Names of a catalogue's values that are paths or URLs, as `SourceCatalogue.load` resolves them."""


def anchored_text(path: Path) -> bytes:
    """Content of a local file; of a source catalogue, with paths made absolute on this machine."""
    content = path.read_bytes()
    if path.suffix not in {".yaml", ".yml"}:
        return content
    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError:
        return content  # the command itself reports it
    if not isinstance(document, dict) or not isinstance(document.get("sources"), list):
        return content
    anchored = _anchored(document, path.absolute().parent, name="")
    return content if anchored == document else yaml.safe_dump(anchored, sort_keys=False, allow_unicode=True).encode()


def _anchored(value: Any, folder: Path, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _anchored(member, folder, str(key)) for key, member in value.items()}
    if isinstance(value, list):
        return [_anchored(member, folder, name) for member in value]
    if isinstance(value, str) and name in _PATHS:
        return absolute_href(value, folder)
    return value
