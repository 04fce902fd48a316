"""Check a catalogue's references, schemas, checksums and files."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import BadIdentifier
from orograph.pipeline.manifest import MANIFEST_NAME, Manifest
from orograph.stac.documents import layout
from orograph.stac.documents.index import decode_items, with_keys
from orograph.stac.documents.json import SHA256_MULTIHASH, Document
from orograph.stac.documents.schemas import SchemaLibrary
from orograph.stac.publishing.leftovers import leftovers

Kind = Literal[
    "schema", "dangling", "orphan", "checksum", "size", "cog", "index", "version", "manifest", "json", "pending"
]
Severity = Literal["error", "warning"]
Progress = Callable[[str], None]

_CHUNK: Final = 8 << 20
_COG: Final = "profile=cloud-optimized"
_PRODUCT_ROOTS: Final = ("tiles/", "cells/")


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One discrepancy between catalogue and store."""

    kind: Kind
    key: str
    message: str
    severity: Severity = "error"


@dataclass(slots=True)
class VerifyReport:
    """Result of a verification: counts and problems.

    Attributes:
        documents: Catalogues, collections and items read.
        items: Items among them, earlier versions included.
        assets: Files whose size and checksum were compared.
        cogs: Files found strictly valid as cloud-optimised GeoTIFF or not.
        bytes_read: Bytes of the files.
        problems: The problems found.
    """

    documents: int = 0
    items: int = 0
    assets: int = 0
    cogs: int = 0
    bytes_read: int = 0
    problems: list[Discrepancy] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; warnings (work in progress) are allowed."""
        return not any(problem.severity == "error" for problem in self.problems)

    def add(self, kind: Kind, key: str, message: str, severity: Severity = "error") -> None:
        """Record a problem."""
        self.problems.append(Discrepancy(kind, key, message, severity))

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return {
            "ok": self.ok,
            "documents": self.documents,
            "items": self.items,
            "assets": self.assets,
            "cogs": self.cogs,
            "bytes_read": self.bytes_read,
            "problems": [
                {"kind": p.kind, "severity": p.severity, "key": p.key, "message": p.message} for p in self.problems
            ],
        }


def verify(
    store: ObjectStore,
    schemas: Path | SchemaLibrary | None = None,
    *,
    files: bool = True,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check a whole catalogue offline.

    Checks every catalogue, collection and item reachable from the root against the core schema and the schemas of its
    extensions; every reference; every file's size, sha256 and, for COGs, strict validity; every item against the index
    and its immutable version; and that the catalogue refers to every object below it. Files of unpublished runs and
    leftovers of workers that were killed or finished second are warnings.

    Args:
        store: The store that contains the catalogue.
        schemas: Folder of extension schemas, or a library of them.
        files: Read the assets; False compares sizes only.
        progress: Called with the key being checked.

    Raises:
        CatalogueError: an extension's schema is not available.
    """
    library = schemas if isinstance(schemas, SchemaLibrary) else SchemaLibrary(schemas)
    report = VerifyReport()
    check = _Check(store, library, report, progress or (lambda _: None))
    check.crawl()
    check.indexes()
    check.versions()
    check.assets(files=files)
    check.orphans()
    return report


@dataclass(slots=True)
class _Check:
    """State of one verification: the documents and files reached so far."""

    store: ObjectStore
    library: SchemaLibrary
    report: VerifyReport
    progress: Progress
    documents: dict[str, Document] = field(default_factory=dict)
    present: dict[str, int] = field(default_factory=dict)
    referenced: set[str] = field(default_factory=set)

    def crawl(self) -> None:
        """Follow every reference from the root and validate each STAC document found."""
        self.present = {info.key: info.size_bytes for root in self._roots() for info in self.store.list(root)}
        if layout.ROOT_KEY not in self.present:
            self.report.add("dangling", layout.ROOT_KEY, "the store contains no catalogue")
            return
        queue = deque([layout.ROOT_KEY])
        self.referenced.add(layout.ROOT_KEY)
        while queue:
            key = queue.popleft()
            self.progress(key)
            document = self._read(key)
            if document is None:
                continue
            self.documents[key] = document
            self._validate(key, document)
            with self._reading(key):
                queue.extend(self._follow(key, document))

    @contextlib.contextmanager
    def _reading(self, key: str, kind: Kind = "json") -> Iterator[None]:
        """Whatever a damaged object makes its readers raise is a finding about it."""
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            self.report.add(kind, key, f"cannot be read: {type(error).__name__}: {error}")

    @staticmethod
    def _roots() -> tuple[str, ...]:
        return (f"{layout.ROOT}/", *_PRODUCT_ROOTS)

    def _read(self, key: str) -> Document | None:
        try:
            document = orjson.loads(self.store.get(key))
        except KeyError:
            self.report.add("dangling", key, "was there a moment ago and is gone")
            return None
        except orjson.JSONDecodeError as error:
            self.report.add("json", key, f"is not JSON: {error}")
            return None
        if not isinstance(document, dict) or not isinstance(document.get("links"), list):
            self.report.add("json", key, "is not a STAC document")
            return None
        self.report.documents += 1
        self.report.items += document.get("type") == "Feature"
        return document

    def _validate(self, key: str, document: Document) -> None:
        for fault in self.library.faults(document):
            self.report.add("schema", key, fault)
        if document.get("type") == "Feature":
            name = key.rsplit("/", 1)[-1].removesuffix(".json")
            if key.startswith(f"{layout.ROOT}/") and document.get("id") != name:
                self.report.add("schema", key, f"id {document.get('id')!r} is not the one of its key")

    def _follow(self, key: str, document: Document) -> Iterator[str]:
        """Documents a document refers to that were not seen yet; notes references to nothing."""
        for link in (*document["links"], *document.get("assets", {}).values()):
            target = self._target(key, link)
            if target is None or target in self.referenced:
                continue
            self.referenced.add(target)
            if target not in self.present:
                self.report.add("dangling", key, f"refers to {link['href']}, which is not in the store")
            elif "rel" in link and link.get("type") != "application/schema+json":
                yield target

    def _target(self, key: str, link: Document) -> str | None:
        try:
            return layout.resolve(key, link["href"])
        except BadIdentifier as error:
            self.report.add("dangling", key, error.message)
            return None

    def indexes(self) -> None:
        """Check that each block's index contains exactly its current items."""
        for key in sorted(k for k in self.present if k.endswith(f"/{layout.INDEX_NAME}")):
            self.progress(key)
            with self._reading(key, "index"):
                self._index(key)

    def _index(self, key: str) -> None:
        folder, data = key.removesuffix(layout.INDEX_NAME), self.store.get(key)
        _, collection, block, _ = key.split("/")
        recorded = self.documents.get(layout.collection_key(collection), {}).get("dem:blocks", {}).get(block)
        if recorded is not None and hashlib.sha256(data).hexdigest() != recorded["index_sha256"]:
            self.report.add("checksum", key, f"has another sha256 than collection {collection} says")
        items = {k: d for k, d in self.documents.items() if k.startswith(folder) and d.get("type") == "Feature"}
        indexed = {item["id"]: item for item in decode_items(data)}
        for item_key, item in items.items():
            with self._reading(item_key):
                row = indexed.pop(item.get("id"), None)
                if row is None:
                    self.report.add("index", item_key, f"is not in the index {key}")
                    continue
                if differing := _differing(item, row):
                    self.report.add("index", item_key, f"differs from its row in {key}: {differing}")
        for item_id in indexed:
            self.report.add("index", key, f"contains {item_id}, which has no item")

    def versions(self) -> None:
        """Check that each item equals its version next to the assets, which is never rewritten."""
        for key, item in self.documents.items():
            if item.get("type") != "Feature" or not key.startswith(f"{layout.ROOT}/"):
                continue
            with self._reading(key):
                for link in item["links"]:
                    version_key = self._target(key, link) if link.get("rel") == "alternate" else None
                    if version_key in self.documents:
                        self._compare_version(key, item, version_key, self.documents[version_key])

    def _compare_version(self, key: str, item: Document, version_key: str, version: Document) -> None:
        here, there = ({**d, "properties": {**d["properties"], "updated": None}} for d in (item, version))
        if differing := _differing(here, there):
            self.report.add("version", key, f"differs from {version_key}: {differing}")
        if _references(item, key) != _references(version, version_key):
            self.report.add("version", key, f"has other references than {version_key}")

    def assets(self, *, files: bool) -> None:
        """Sizes and checksums of every item's files, once each; COGs strictly valid."""
        seen: set[str] = set()
        with tempfile.TemporaryDirectory(prefix="orograph-verify-") as scratch:
            for key, document in self.documents.items():
                if document.get("type") != "Feature":
                    continue
                with self._reading(key):
                    for asset in document["assets"].values():
                        target = self._target(key, asset)
                        if target is None or target in seen or target not in self.present:
                            continue
                        seen.add(target)
                        self.progress(target)
                        self._asset(target, asset, Path(scratch) / "asset" if files else None)

    def _asset(self, key: str, asset: Document, scratch: Path | None) -> None:
        if key.endswith(f"/{MANIFEST_NAME}"):
            self._manifest(key, asset.get("file:checksum"))
            return
        size, expected = self.present[key], asset.get("file:size")
        self.report.assets += 1
        if size != expected:
            self.report.add("size", key, f"has {size} bytes, the item says {expected}")
        if scratch is None:
            return
        digest = self._copy(key, size, scratch)
        if SHA256_MULTIHASH + digest != asset.get("file:checksum"):
            self.report.add("checksum", key, f"has sha256 {digest}, the item says {asset.get('file:checksum')}")
        elif _COG in asset.get("type", ""):
            self.report.cogs += 1
            for fault in _cog_faults(scratch):
                self.report.add("cog", key, fault)

    def _manifest(self, key: str, checksum: str | None) -> None:
        """Check that the manifest is the published one, can be parsed, and that all its files exist."""
        try:
            data = self.store.get(key)
            digest = SHA256_MULTIHASH + hashlib.sha256(data).hexdigest()
            if checksum is not None and digest != checksum:
                self.report.add("checksum", key, f"has multihash {digest}, the item says {checksum}")
            manifest = Manifest.from_json(data)
        except (KeyError, ValueError) as error:
            self.report.add("manifest", key, str(error).splitlines()[0])
            return
        for asset in manifest.assets:
            self.referenced.add(asset.key)
            if asset.key not in self.present:
                self.report.add("dangling", key, f"names {asset.key}, which is not in the store")

    def _copy(self, key: str, size: int, path: Path) -> str:
        """Copy an object to a local file by pieces; its sha256."""
        digest = hashlib.sha256()
        with path.open("wb") as file:
            for start in range(0, size, _CHUNK):
                data = self.store.get(key, start=start, end=min(start + _CHUNK, size))
                digest.update(data)
                file.write(data)
        self.report.bytes_read += size
        return digest.hexdigest()

    def orphans(self) -> None:
        """Objects nothing refers to; those of work in progress are warnings."""
        manifests = {key.rsplit("/", 1)[0] for key in self.present if key.endswith(f"/{MANIFEST_NAME}")}
        leftover = {found.key for found in leftovers(self.store) if found.finished}
        published = {folder for folder in manifests if f"{folder}/{MANIFEST_NAME}" in self.referenced}
        announced = {
            f"{layout.ROOT}/{key.removeprefix(layout.pending_prefix()).split('.')[0]}"
            for key in self.present
            if key.startswith(layout.pending_prefix())
        }
        for key in sorted(set(self.present) - self.referenced):
            folder = key.rsplit("/", 1)[0]
            run = "/".join(key.split("/")[:3])
            if key.startswith(layout.pending_prefix()):
                self.report.add("pending", key, "waits for the publisher", "warning")
            elif folder in announced or (announced and key.startswith(f"{layout.ROOT}/sources/")):
                continue
            elif key in leftover:
                message = "left by another worker of a finished run; `orograph catalog clean` removes it"
                self.report.add("orphan", key, message, "warning")
            elif key.startswith(f"{layout.ROOT}/") or run in published:
                self.report.add("orphan", key, "nothing refers to it")
            elif run not in manifests:
                self.report.add("orphan", key, "left by a run that has not finished", "warning")
        for folder in sorted(manifests - published):
            self.report.add("orphan", f"{folder}/{MANIFEST_NAME}", "finished but not published", "warning")


def _differing(one: Document, other: Document) -> str:
    """Names of the members in which two forms of an item differ, apart from how they refer to things."""

    def recorded(item: Document, name: str) -> Any:
        if name != "assets":
            return item[name]
        return {key: {**asset, "href": None} for key, asset in item[name].items()}

    names = ("geometry", "bbox", "properties", "assets", "collection", "stac_version", "stac_extensions")
    return ", ".join(name for name in names if recorded(one, name) != recorded(other, name))


def _references(item: Document, key: str) -> tuple[list[Document], Document]:
    """Links and assets by keys of the store, without the links that only an item or only a version has."""
    absolute = with_keys(item, key)
    own = ("parent", "alternate", "latest-version")
    return [link for link in absolute["links"] if link["rel"] not in own], absolute["assets"]


def _cog_faults(path: Path) -> list[str]:
    from rio_cogeo.cogeo import cog_validate

    try:
        _, errors, warnings = cog_validate(str(path), strict=True, quiet=True)
    except Exception as error:  # noqa: BLE001 - whatever a broken file makes GDAL raise is the finding
        return [f"cannot be opened: {error}"]
    return [*errors, *warnings]
