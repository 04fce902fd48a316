"""Copies files of a source unchanged to a folder (fetch) or as COGs to a store (mirror); both are resumable."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from orograph.infra.reporting.transfer_progress import TransferStep
from orograph.infra.runs.crop import is_whole, window_in, write_cog
from orograph.infra.runs.robots import Robots
from orograph.infra.runs.source_access import SourceAccess
from orograph.infra.stores.base import Store
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.errors import OrographError, SourceCorrupt, SourceMissing
from orograph.pipeline.planning.cells import template_files
from orograph.pipeline.sources.catalogue import CellTemplate, Files, Portal, Source
from orograph.pipeline.sources.index_build import list_files
from orograph.pipeline.sources.listings import Bounds, Read, read_listing
from orograph.pipeline.sources.partial import RasterFile, path_of
from orograph.pipeline.sources.readiness import check_ready
from orograph.pipeline.sources.redaction import public_href
from orograph.pipeline.sources.refs import FileRef

_RASTERS: Final = (".tif", ".tiff", ".asc", ".xyz", ".img", ".hgt")
_TIFF: Final = re.compile(r"\.tiff?(\?|$)", re.IGNORECASE)
_UNPACKED_LEVELS: Final = 3
_IN_PART_FROM_BYTES: Final = 8 * 2**20
"""Larger remote TIFFs are cropped by their blocks; smaller ones come whole."""
PATIENT: Final = Backoff(attempts=6, first_s=1.0, longest_s=600.0, total_s=1800.0)
"""Waits of transfers: as long as a server asks for by Retry-After, up to ten minutes."""


@dataclass(slots=True)
class Transferred:
    """Result of a transfer: files that were copied, already present, missing, outside the area, or failed."""

    source_id: str
    copied: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    absent: int = 0
    outside: int = 0
    faults: list[tuple[str, OrographError]] = field(default_factory=list)
    size_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The report, JSON-ready."""
        return {
            "source": self.source_id,
            "copied": self.copied,
            "kept": self.kept,
            "absent": self.absent,
            "outside": self.outside,
            "bytes": self.size_bytes,
            "faults": [{"href": public_href(href), **error.to_dict()} for href, error in self.faults],
        }


def hrefs_in(source: Source, access: SourceAccess, read: Read, area_deg: Bounds) -> list[str]:
    """Hrefs of the files of an area; of a list without footprints, all files.

    Raises:
        SourceMissing: the source's files must be provided by the user, or none is listed.
    """
    if isinstance(source.data, Portal):
        check_ready(source.model_copy(update={"unverified": (), "layer": "height"}))
    if isinstance(source.data, Files):
        return list(list_files(source, access).hrefs)
    if isinstance(source.data, CellTemplate):
        return [href for href, _ in template_files(source.data, area_deg)]
    if isinstance(source.data, Portal):
        raise TypeError(f"source {source.id} has no files to list")
    return [href for href, _ in read_listing(source.data, read, source.id, area_deg)]


def fetch_source(
    source: Source,
    access: SourceAccess,
    read: Read,
    area_deg: Bounds,
    folder: Path,
    *,
    requests_per_s: float = 4.0,
    robots: Robots | None = None,
    on_step: Callable[[TransferStep], None] = lambda _: None,
) -> Transferred:
    """Download the files of an area into `folder/ID`, zip archives unpacked, with licence and one record per file.

    Raises:
        SourceMissing, SourceCorrupt, SourceUnavailable: the listing cannot be read; errors of single files are in the
            result.
    """
    target = folder / source.id
    records = target / ".fetched"
    records.mkdir(parents=True, exist_ok=True)
    (target / "LICENCE.txt").write_text(licence_text(source), encoding="utf-8")

    def known(key: str) -> bool:
        record = records / f"{key}.json"
        return record.is_file() and all((target / name).is_file() for name in json.loads(record.read_text())["files"])

    def keep(key: str, file: FileRef) -> list[str]:
        place = target / key
        place.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="orograph-fetch-") as scratch:
            downloaded = access.downloaded(file, source, Path(scratch))
            names = [str(path.relative_to(target)) for path in _unpacked(downloaded, place)]
        record = {**_identity(file), "files": names}
        (records / f"{key}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        return names

    return _transfer(
        source,
        access,
        hrefs_in(source, access, _polite(read, robots), area_deg),
        known=known,
        keep=keep,
        pace=_Pace(requests_per_s, robots),
        on_step=on_step,
    )


def mirror_source(
    source: Source,
    access: SourceAccess,
    read: Read,
    area_deg: Bounds,
    store: Store,
    *,
    requests_per_s: float = 4.0,
    robots: Robots | None = None,
    on_step: Callable[[TransferStep], None] = lambda _: None,
) -> Transferred:
    """Copy an area into a store below `ID/` as lossless COGs, with licence text, one record per file and a report.

    Rasters that reach beyond the area are cropped to it by whole pixels; of a large remote TIFF only the blocks of the
    area are read.

    Raises:
        SourceMissing, SourceCorrupt, SourceUnavailable, StoreError: as `fetch_source`; or the store fails.
    """
    part = hashlib.sha256(repr(tuple(map(float, area_deg))).encode()).hexdigest()[:8]
    store.put(f"{source.id}/LICENCE.txt", licence_text(source).encode(), media_type="text/plain; charset=utf-8")

    def known(key: str) -> bool:
        return any(store.head(f"{source.id}/records/{name}.json") is not None for name in (key, f"{key}-{part}"))

    def keep(key: str, file: FileRef) -> list[str]:
        names, is_all = [], True
        with tempfile.TemporaryDirectory(prefix="orograph-mirror-") as scratch:
            for raster in _rasters(file, source, access, Path(scratch)):
                window = window_in(raster, source.horizontal_crs, area_deg)
                whole = window is not None and is_whole(raster, window)
                is_all &= whole
                if window is None:
                    continue
                cog, stem = Path(scratch) / "cog.tif", path_of(raster).stem
                write_cog(raster, None if whole else window, cog, file.href)
                name = f"{source.id}/{key}/{stem if whole else f'{stem}-{part}'}.tif"
                store.put(name, cog, media_type="image/tiff; application=geotiff; profile=cloud-optimized")
                names.append(name)
        record = {**_identity(file), "files": names, "area_deg": None if is_all else area_deg}
        name = f"{source.id}/records/{key if is_all else f'{key}-{part}'}.json"
        store.put(name, json.dumps(record).encode(), media_type="application/json")
        return names

    done = _transfer(
        source,
        access,
        hrefs_in(source, access, _polite(read, robots), area_deg),
        known=known,
        keep=keep,
        pace=_Pace(requests_per_s, robots),
        on_step=on_step,
    )
    report = {**done.to_dict(), "area_deg": area_deg, "unverified": source.unverified}
    store.put(f"{source.id}/report.json", json.dumps(report, indent=1).encode(), media_type="application/json")
    return done


def licence_text(source: Source) -> str:
    """Text with licence, attribution and uncertain values, for recipients of the files."""
    lines = [
        source.title,
        f"Licence: {source.licence_name or source.licence}",
        f"Licence text: {source.licence_url or 'see the provider'}",
        f"Attribution: {source.attribution}",
        *(f"Provider: {provider.name} {provider.url or ''}".rstrip() for provider in source.providers),
        *(f"Not verified: {line}" for line in source.unverified),
    ]
    return "\n".join(lines) + "\n"


def _transfer(
    source: Source,
    access: SourceAccess,
    hrefs: list[str],
    *,
    known: Callable[[str], bool],
    keep: Callable[[str, FileRef], list[str]],
    pace: _Pace,
    on_step: Callable[[TransferStep], None],
) -> Transferred:
    done = Transferred(source.id)
    on_step(TransferStep(0, len(hrefs)))
    for number, href in enumerate(hrefs, start=1):
        key = _key_of(href)
        if known(key):
            done.kept.append(public_href(href))
            on_step(TransferStep(number, len(hrefs), done.size_bytes))
            continue
        try:
            pace.wait(href)
            file = access.probe(href, source)
            names = keep(key, file)
            done.copied += names
            done.outside += not names
            done.size_bytes += file.size_bytes
        except SourceMissing as error:
            if not (isinstance(source.data, CellTemplate) and source.data.missing_is_void):
                done.faults.append((href, error))
            else:
                done.absent += 1
        except OrographError as error:
            done.faults.append((href, error))
        on_step(TransferStep(number, len(hrefs), done.size_bytes))
    return done


@dataclass(slots=True)
class _Pace:
    """Waits before each file: the longer of the user's and the robots.txt delay."""

    requests_per_s: float
    robots: Robots | None
    _next_at: float = 0.0

    def wait(self, href: str) -> None:
        """Return when the file may be requested; raises `SourceInaccessible` where robots.txt forbids it."""
        delay_s = 0.0
        if self.robots is not None:
            self.robots.check(href)
            delay_s = self.robots.delay_s(href)
        time.sleep(max(0.0, self._next_at - time.monotonic()))
        self._next_at = time.monotonic() + max(1.0 / self.requests_per_s, delay_s)


def _polite(read: Read, robots: Robots | None) -> Read:
    """Read only documents that robots.txt permits."""
    if robots is None:
        return read

    def checked(href: str) -> bytes:
        robots.check(href)
        return read(href)

    return checked


def _rasters(file: FileRef, source: Source, access: SourceAccess, scratch: Path) -> Iterator[RasterFile]:
    """The rasters of a file: a large remote TIFF by its blocks, all others whole."""
    if "://" in file.href and file.size_bytes >= _IN_PART_FROM_BYTES and _TIFF.search(file.href):
        raster = access.opened(file, source)
        try:
            yield raster
        finally:
            access.release(file, source)
        return
    yield from _unpacked(access.downloaded(file, source, scratch), scratch)


def _key_of(href: str) -> str:
    """Folder of a file: its name, and a digest that distinguishes equal names."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", href.partition("?")[0].rpartition("/")[2].partition(".")[0]).strip("_")
    return f"{name[:80] or 'file'}-{hashlib.sha256(href.encode()).hexdigest()[:8]}"


def _identity(file: FileRef) -> dict[str, Any]:
    return {"href": public_href(file.href), "etag": file.etag, "bytes": file.size_bytes}


def _unpacked(path: Path, folder: Path, level: int = 0) -> Iterator[Path]:
    """The rasters of a zip archive, also of archives within it, in a folder; any other file is copied there."""
    if not zipfile.is_zipfile(path):
        target = folder / path.name
        shutil.copyfile(path, target)
        yield target
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                name = re.sub(r"[^A-Za-z0-9_.-]", "_", member.filename.replace("\\", "/").rpartition("/")[2])
                name = name.lstrip(".")
                is_zip = name.lower().endswith(".zip") and level < _UNPACKED_LEVELS
                if not name or not (is_zip or name.lower().endswith(_RASTERS)):
                    continue
                target = folder / name
                with archive.open(member) as data, target.open("wb") as out:
                    shutil.copyfileobj(data, out, 2**20)
                if is_zip:
                    yield from _unpacked(target, folder, level + 1)
                    target.unlink()
                else:
                    yield target
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise SourceCorrupt(f"the archive {path.name} is damaged: {error}", remedy="run the command again") from error
