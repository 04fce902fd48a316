"""JSON schemas: STAC's own from pystac, PROJJSON from PROJ, the profile from this package, extensions from a folder."""

from __future__ import annotations

import importlib.resources
import json
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from jsonschema import Draft7Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match
from pyproj.datadir import get_data_dir
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource, Unresolvable
from referencing.jsonschema import DRAFT7

from orograph.pipeline.errors import CatalogueError
from orograph.stac.documents.dem_profile import PROFILE_URI, profile_schema
from orograph.stac.documents.json import Document

_EXTENSION_HOST: Final = "https://stac-extensions.github.io/"
_CORE_BASE: Final = "https://schemas.stacspec.org/v1.1.0"
_CORE_OF_TYPE: Final = {
    "Feature": f"{_CORE_BASE}/item-spec/json-schema/item.json",
    "Collection": f"{_CORE_BASE}/collection-spec/json-schema/collection.json",
    "Catalog": f"{_CORE_BASE}/catalog-spec/json-schema/catalog.json",
}
_PROJJSON_URI: Final = "https://proj.org/schemas/v0.7/projjson.schema.json"


class SchemaLibrary:
    """Validators by schema URI, compiled once; nothing is fetched.

    Args:
        folder: Extension schemas as `<extension>/<version>/schema.json`, e.g. `projection/v2.0.0/schema.json`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._validators: dict[str, Draft7Validator] = {}

    def faults(self, document: Document) -> Iterator[str]:
        """Yield violations of the core schema and the extension schemas by an item, collection or catalogue.

        Raises:
            CatalogueError: a schema is not available.
        """
        core = _CORE_OF_TYPE.get(str(document.get("type")))
        if core is None:
            yield f"type {document.get('type')!r} is none of STAC's"
            return
        for uri in (core, *document.get("stac_extensions", ())):
            error = best_match(self._validator(uri).iter_errors(document))
            if error is not None:
                yield f"{uri}: {_sentence(error)}"

    def missing(self, uris: set[str]) -> set[str]:
        """Return the extension schemas among `uris` that are not available."""
        absent = set()
        for uri in uris:
            try:
                self._validator(uri)
            except CatalogueError:
                absent.add(uri)
        return absent

    def contents(self, uri: str) -> Document:
        """Return a schema by its URI; KeyError if it is not available."""
        schema: Document = self._registry.contents(uri.removesuffix("#"))
        return schema

    def _validator(self, uri: str) -> Draft7Validator:
        if uri not in self._validators:
            try:
                schema = self._registry.contents(uri)
            except (NoSuchResource, Unresolvable) as error:
                raise CatalogueError(
                    f"no JSON schema for {uri}", remedy="name a folder that contains it with --schemas"
                ) from error
            checker = FormatChecker(["date-time", "date"])
            self._validators[uri] = Draft7Validator(schema, registry=self._registry, format_checker=checker)
        return self._validators[uri]

    @cached_property
    def _registry(self) -> Registry[Any]:
        contents = {**_bundled(), **_of_folder(self._folder)}
        # Filed under the address they are referred to by: some of pystac's files carry a slip in their `$id`.
        resources = [
            (uri, Resource.from_contents(schema, default_specification=DRAFT7)) for uri, schema in contents.items()
        ]
        registry: Registry[Any] = Registry()
        return registry.with_resources(resources)


def extension_path(uri: str) -> str | None:
    """Path of an extension's schema in a folder of schemas; None for URIs outside STAC's extensions."""
    path = uri.removeprefix(_EXTENSION_HOST).rstrip("#")
    parts = path.split("/")
    return path if path != uri.rstrip("#") and ".." not in parts and parts[-1] == "schema.json" else None


def _of_folder(folder: Path | None) -> dict[str, Document]:
    if folder is None:
        return {}
    return {
        _EXTENSION_HOST + path.relative_to(folder).as_posix(): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*/*/schema.json"))
    }


def _bundled() -> dict[str, Document]:
    """Schemas that come with the installed packages, by the address they are referred to."""
    found = {PROFILE_URI: profile_schema()}
    base = importlib.resources.files("pystac") / "validation" / "jsonschemas"
    for entry in (base / "stac-spec" / "v1.1.0").iterdir():
        kind = {"catalog.json": "catalog-spec", "collection.json": "collection-spec"}.get(entry.name, "item-spec")
        found[f"{_CORE_BASE}/{kind}/json-schema/{entry.name}"] = json.loads(entry.read_text(encoding="utf-8"))
    for entry in (base / "geojson").iterdir():
        found[f"https://geojson.org/schema/{entry.name}"] = json.loads(entry.read_text(encoding="utf-8"))
    projjson = Path(get_data_dir().split(os.pathsep)[0]) / "projjson.schema.json"
    found[_PROJJSON_URI] = json.loads(projjson.read_text(encoding="utf-8"))
    return found


def _sentence(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where or 'document'}: {error.message[:300]}"
