"""Ingest delivered files of a source into a store as COGs: archives unpacked, resumable, with a report per file."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from orograph.infra.reporting.transfer_progress import TransferStep
from orograph.infra.runs.source_transfer import licence_text
from orograph.infra.stores.base import Store, sha256_of
from orograph.pipeline.errors import DiskFull, ExportError, InputError, OrographError, SourceMissing
from orograph.pipeline.sources.archives import Member, companions_in, is_archive, members, rasters, unpack
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.convert import convert
from orograph.pipeline.sources.opening import converting
from orograph.pipeline.sources.raster_formats import SUFFIXES, format_of
from orograph.pipeline.sources.sidecars import companions

COG_TYPE: Final = "image/tiff; application=geotiff; profile=cloud-optimized"
_CONVERTER: Final = 1
"""Part of the identity of a conversion; raised when COGs of the same file would differ."""
_NESTED: Final = 3
_DECLARED: Final = {
    "id", "title", "licence", "licence_name", "attribution", "horizontal_crs", "vertical_frame", "nodata", "pixel", "unit",
    "resolution_m", "epoch", "area_deg",
}  # fmt: skip
"""Facts of an entry that a COG depends on."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One delivered raster.

    Attributes:
        file: Path as given; for archives with the member's path: `dgm1.zip/tile/a.xyz`.
        status: `converted`, `kept` (already converted), `rejected`, or `ignored` (not a raster).
        key: Key of the COG in the store.
        format: Format of the raster.
        reason, remedy: For rejected files.
        seconds: Processing time.
        facts: Facts of the raster and their origin.
        low_m, high_m, void_share: Least height, greatest height and fraction of voids.
        suspicious: Findings in its samples.
        size_bytes: Size of the COG.
    """

    file: str
    status: str
    key: str | None = None
    format: str | None = None
    reason: str | None = None
    remedy: str | None = None
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    low_m: float | None = None
    high_m: float | None = None
    void_share: float | None = None
    suspicious: tuple[str, ...] = ()
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Ingested:
    """Result of an ingest: one entry per raster, and a catalogue of the COGs."""

    source_id: str
    entries: tuple[Entry, ...]
    catalogue_key: str

    def count(self, status: str) -> int:
        """Number of entries of a status."""
        return sum(entry.status == status for entry in self.entries)

    def to_dict(self) -> dict[str, Any]:
        """The report, JSON-ready."""
        counts = {status: self.count(status) for status in ("converted", "kept", "rejected", "ignored")}
        return {"source": self.source_id, **counts, "files": [asdict(entry) for entry in self.entries]}


@dataclass(slots=True)
class _Task:
    """A raster to convert: where it is, and its name and identity."""

    path: str
    name: str
    identity: str


@dataclass(slots=True)
class _Ingest:
    source: Source
    store: Store
    scratch: Path
    on_step: Callable[[TransferStep], None]
    entries: list[Entry] = field(default_factory=list)
    due: int = 0
    size_bytes: int = 0

    def take(self, path: Path) -> None:
        """One file or folder as the user named it."""
        if is_archive(path.name):
            self._archive(path, path.name, sha256_of(path), 0)
            return
        belonging = sorted({path, *map(Path, companions(str(path)))})
        digest = hashlib.sha256("".join(sha256_of(one) for one in belonging if one.is_file()).encode()).hexdigest()
        self._convert(_Task(str(path), path.name, digest))

    def _archive(self, path: Path, name: str, digest: str, level: int) -> None:
        """Rasters of an archive; those that are not converted yet are unpacked, one by one from a zip."""
        listed = members(path)
        found = rasters(listed)
        inner = [one for one in listed if is_archive(one.name)] if level < _NESTED else []
        belonging = {one.name for raster in found for one in companions_in(raster, listed)}
        for member in listed:
            if member not in found and member not in inner and member.name not in belonging:
                self.entries.append(Entry(f"{name}/{member.name}", "ignored", reason="not a raster by its name"))
        self.due += len(found) + len(inner) - 1
        due = [one for one in found if not self._kept(_Task("", f"{name}/{one.name}", _digest(digest, one.name)))]
        at_once = path.suffix.lower() == ".7z"  # a solid archive is unpacked from its start for each member
        for batch in [due] if at_once and due else [[one] for one in due]:
            with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                wanted = {one.name: one for raster in batch for one in (raster, *companions_in(raster, listed))}
                _require_space(path, wanted.values(), Path(folder))
                fault = _fault(lambda: unpack(path, list(wanted.values()), Path(folder)))  # noqa: B023 - called at once
                for one in batch:
                    task = _Task(str(Path(folder) / one.name), f"{name}/{one.name}", _digest(digest, one.name))
                    self._convert(task, fault, maybe=_is_ambiguous(one))
        for one in inner:
            with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
                _require_space(path, [one], Path(folder))
                try:
                    unpack(path, [one], Path(folder))
                    nested = Path(folder) / one.name
                    self._archive(nested, f"{name}/{one.name}", _digest(digest, one.name), level + 1)
                except (InputError, ExportError) as error:
                    self._reject(f"{name}/{one.name}", error)

    def _kept(self, task: _Task) -> bool:
        record = self._record(task)
        if record is None:
            return False
        self._add(Entry(**{**record, "file": task.name, "status": "kept", "seconds": 0.0}))
        return True

    def _record(self, task: _Task) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads(self.store.get(self._record_key(task)))
        except KeyError:
            return None
        return record if self.store.head(record["key"]) is not None else None

    def _convert(self, task: _Task, fault: OrographError | None = None, *, maybe: bool = False) -> None:
        if self._kept(task):
            return
        started = time.monotonic()
        try:
            if fault is not None:
                raise fault
            entry = self._converted(task, started)
        except (InputError, ExportError) as error:
            if maybe and not _is_raster(task.path):
                self._add(Entry(task.name, "ignored", reason="not a raster by its content"))
            else:
                self._reject(task.name, error)
            return
        self._add(entry)

    def _converted(self, task: _Task, started: float) -> Entry:
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder, converting(Path(folder)):
            out = Path(folder) / "cog.tif"
            done = convert(
                task.path, self.source, out, {"ORIGIN": task.name, "ORIGIN_SHA256": task.identity}, alone=self.due == 1
            )
            key = f"{self.source.id}/{self._stem(task)}/{_plain_stem(task.name)}.tif"
            self.store.put(key, out, media_type=COG_TYPE)
        entry = Entry(
            task.name,
            "converted",
            key,
            format_of(task.path).name,
            seconds=round(time.monotonic() - started, 3),
            facts=done.facts,
            low_m=done.low_m,
            high_m=done.high_m,
            void_share=done.void_share,
            suspicious=done.suspicious,
            size_bytes=done.size_bytes,
        )
        self.store.put(self._record_key(task), json.dumps(asdict(entry)).encode(), media_type="application/json")
        return entry

    def _reject(self, name: str, error: OrographError) -> None:
        self._add(Entry(name, "rejected", reason=f"{type(error).__name__}: {error.message}", remedy=error.remedy))

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.size_bytes += entry.size_bytes
        through = sum(one.status != "ignored" for one in self.entries)
        self.on_step(TransferStep(min(through, self.due), self.due, self.size_bytes))

    def _stem(self, task: _Task) -> str:
        declared = self.source.model_dump(mode="json", include=_DECLARED)
        text = json.dumps([_CONVERTER, task.identity, declared], sort_keys=True)
        return f"{_plain_stem(task.name)}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def _record_key(self, task: _Task) -> str:
        return f"{self.source.id}/records/{self._stem(task)}.json"


def ingest(
    source: Source,
    files: Sequence[Path],
    store: Store,
    *,
    scratch: Path | None = None,
    on_step: Callable[[TransferStep], None] = lambda _: None,
) -> Ingested:
    """Convert delivered files into COGs below `ID/` of a store, with licence, catalogue entry, records and report.

    A second call skips rasters whose content and declaration did not change.

    Args:
        source: Catalogue entry of the files.
        files: Rasters, zip and 7z archives (also nested), and folders of them.
        store: Destination.
        scratch: Folder for one unpacked raster, or one unpacked 7z archive.
        on_step: Receives progress.

    Raises:
        SourceMissing: a named file does not exist, or a folder contains no raster.
        PackageMissing: a 7z archive, and py7zr is not installed.
        StoreError, DiskFull: the store or scratch folder cannot be written; errors of single files are in the result.
    """
    paths = list(_expanded(files))
    with tempfile.TemporaryDirectory(prefix="orograph-ingest-", dir=scratch) as folder:
        work = _Ingest(source, store, Path(folder), on_step, due=len(paths))
        for path in paths:
            try:
                work.take(path)
            except (InputError, ExportError) as error:
                work._reject(path.name, error)  # noqa: SLF001 - one object of this module
    catalogue_key = f"{source.id}/catalogue.yaml"
    store.put(f"{source.id}/LICENCE.txt", licence_text(source).encode(), media_type="text/plain; charset=utf-8")
    store.put(catalogue_key, _catalogue(source, store).encode(), media_type="application/yaml")
    return Ingested(source.id, tuple(work.entries), catalogue_key)


def _expanded(files: Sequence[Path]) -> Iterator[Path]:
    """Files as named, folders by their rasters and archives; what belongs to another file comes with it."""
    found: list[Path] = []
    for path in files:
        if not path.exists():
            raise SourceMissing(f"no file at {path}", source=str(path), remedy="check the path")
        inside = [path] if path.is_file() else list(_rasters_in(path))
        if not inside:
            raise SourceMissing(f"{path} contains no raster", source=str(path), remedy="name the files in it")
        found += inside
    belonging = {
        Path(other).resolve() for path in found if not is_archive(path.name) for other in companions(str(path))
    }
    yield from (path for path in dict.fromkeys(found) if path.resolve() not in belonging)


def _rasters_in(folder: Path) -> Iterator[Path]:
    listed = [
        Member(str(path.relative_to(folder)), path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    chosen = {one.name for one in rasters(listed)} | {one.name for one in listed if is_archive(one.name)}
    yield from (folder / one.name for one in listed if one.name in chosen)


def _is_ambiguous(member: Member) -> bool:
    return member.name.lower().endswith((".txt", ".csv", ".dat"))


def _is_raster(path: str) -> bool:
    return _fault(lambda: format_of(path)) is None


def _require_space(path: Path, wanted: Iterable[Member], folder: Path) -> None:
    """Raise `DiskFull` before some members of an archive are unpacked that do not fit into a folder."""
    needed, free = sum(one.size_bytes for one in wanted), shutil.disk_usage(folder).free
    if needed > free:
        raise DiskFull(
            f"{needed / 1e6:,.0f} MB of {path.name} are unpacked at once and {free / 1e6:,.0f} MB are free",
            remedy="choose a larger disk by --scratch, or unpack the archive and ingest its folder",
        )


def _fault(call: Callable[[], object]) -> OrographError | None:
    try:
        call()
    except (InputError, ExportError) as error:
        return error
    return None


def _digest(archive: str, member: str) -> str:
    return hashlib.sha256(f"{archive}/{member}".encode()).hexdigest()


def _plain_stem(name: str) -> str:
    """Stem of a file as a key: letters and digits; HGT's dots go, so that no name promises a position."""
    last = name.rpartition("/")[2]
    stem = last
    for suffix in SUFFIXES:
        if last.lower().endswith(suffix):
            stem = last[: -len(suffix)]
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:80] or "raster"


def _catalogue(source: Source, store: Store) -> str:
    """The entry for the COGs: their own statements replace those that the delivered files needed."""
    pattern = "*/*.tif" if "://" not in store.url else f"{store.url}/{source.id}/*/*.tif"
    entry = source.model_copy(update={"nodata": (), "unit": None}).model_dump(mode="json", exclude_none=True)
    entry["data"] = {"kind": "files", "hrefs": [pattern]}
    entry.pop("access", None)
    return yaml.safe_dump({"sources": [entry]}, sort_keys=False, allow_unicode=True)
