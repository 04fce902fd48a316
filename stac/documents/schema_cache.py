"""Cache of extension schemas on the user's machine: each is fetched once and then read offline."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import httpx

from orograph.pipeline.errors import CatalogueError
from orograph.stac.documents.schemas import SchemaLibrary, extension_path

DEFAULT_FOLDER: Final = Path.home() / ".local/share/orograph/stac-schemas"
_TIMEOUT_S: Final = 20.0
_SIZE_MAX: Final = 4 << 20


def cached_library(
    uris: Iterable[str], folder: Path = DEFAULT_FOLDER, client: httpx.Client | None = None
) -> SchemaLibrary:
    """Return a library with the schemas of all `uris`; fetches those that are not cached.

    Raises:
        CatalogueError: a schema is not cached and cannot be fetched.
    """
    absent = SchemaLibrary(folder).missing(set(uris))
    for uri in sorted(absent):
        _fetch(uri, folder, client)
    return SchemaLibrary(folder)


def _fetch(uri: str, folder: Path, client: httpx.Client | None) -> None:
    path = extension_path(uri)
    remedy = "name a folder of extension schemas with --schemas"
    if path is None:
        raise CatalogueError(f"{uri} is not the address of a STAC extension", remedy=remedy)
    try:
        get = httpx.get if client is None else client.get
        answer = get(uri, timeout=_TIMEOUT_S, follow_redirects=True)
        answer.raise_for_status()
        if len(answer.content) > _SIZE_MAX or not isinstance(json.loads(answer.content), dict):
            raise CatalogueError(f"{uri} is not a JSON schema", remedy=remedy)
    except (httpx.HTTPError, ValueError) as error:
        raise CatalogueError(f"{uri} cannot be fetched: {error}", remedy=remedy) from error
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_bytes(answer.content)
    partial.replace(target)
