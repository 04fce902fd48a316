"""Copies files of a source: to a folder as they are (fetch), or to a store as COGs (mirror); both go on where they ended."""

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

import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError

from orograph.infra.reporting.transfer_progress import TransferStep
from orograph.infra.runs.source_access import SourceAccess
from orograph.infra.stores.base import Store
from orograph.pipeline.errors import OrographError, SourceCorrupt, SourceMissing
from orograph.pipeline.planning.cells import template_files
from orograph.pipeline.sources.catalogue import CellTemplate, Files, Portal, Source
from orograph.pipeline.sources.index_build import list_files
from orograph.pipeline.sources.listings import Bounds, Read, read_listing
from orograph.pipeline.sources.readiness import check_ready
from orograph.pipeline.sources.redaction import public_href
from orograph.pipeline.sources.refs import FileRef

_RASTERS: Final = (".tif", ".tiff", ".asc", ".xyz", ".img", ".hgt")
_UNPACKED_LEVELS: Final = 3
_COG: Final = {"driver": "COG", "compress": "DEFLATE", "predictor": "YES", "blocksize": 512, "bigtiff": "IF_SAFER"}


@dataclass(slots=True)
class Transferred:
    """What became of a transfer: files that came, were there before, do not exist, and failed."""

    source_id: str
    copied: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    absent: int = 0
    faults: list[tuple[str, OrographError]] = field(default_factory=list)
    size_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The report, JSON-ready."""
        return {
            "source": self.source_id,
            "copied": self.copied,
            "kept": self.kept,
            "absent": self.absent,
            "bytes": self.size_bytes,
            "faults": [{"href": public_href(href), **error.to_dict()} for href, error in self.faults],
        }


def hrefs_in(source: Source, access: SourceAccess, read: Read, area_deg: Bounds) -> list[str]:
    """Hrefs of the files of an area; a list of files without footprints is taken whole.

    Raises:
        SourceMissing: files come by hand, or none is listed.
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
    on_step: Callable[[TransferStep], None] = lambda _: None,
) -> Transferred:
    """Download the files of an area into `folder/ID`, zip archives unpacked, with licence and one record per file.

    Raises:
        SourceMissing, SourceCorrupt, SourceUnavailable: the listing cannot be read; faults of files are in the result.
    """
    target = folder / source.id
    records = target / ".fetched"
    records.mkdir(parents=True, exist_ok=True)
    (target / "LICENCE.txt").write_text(licence_text(source), encoding="utf-8")

    def known(key: str) -> bool:
        record = records / f"{key}.json"
        return record.is_file() and all((target / name).is_file() for name in json.loads(record.read_text())["files"])

    def keep(key: str, file: FileRef, downloaded: Path) -> list[str]:
        place = target / key
        place.mkdir(exist_ok=True)
        names = [str(path.relative_to(target)) for path in _unpacked(downloaded, place)]
        record = {**_identity(file), "files": names}
        (records / f"{key}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
        return names

    return _transfer(
        source,
        access,
        hrefs_in(source, access, read, area_deg),
        known=known,
        keep=keep,
        requests_per_s=requests_per_s,
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
    on_step: Callable[[TransferStep], None] = lambda _: None,
) -> Transferred:
    """Copy an area into a store below `ID/` as lossless COGs, with licence text, one record per file and a report.

    Raises:
        SourceMissing, SourceCorrupt, SourceUnavailable, StoreError: as `fetch_source`, and of the store.
    """
    store.put(f"{source.id}/LICENCE.txt", licence_text(source).encode(), media_type="text/plain; charset=utf-8")

    def known(key: str) -> bool:
        return store.head(f"{source.id}/records/{key}.json") is not None

    def keep(key: str, file: FileRef, downloaded: Path) -> list[str]:
        names = []
        with tempfile.TemporaryDirectory(prefix="orograph-mirror-") as scratch:
            for path in _unpacked(downloaded, Path(scratch)):
                cog = Path(scratch) / "cog.tif"
                _to_cog(path, cog, file)
                name = f"{source.id}/{key}/{path.stem}.tif"
                store.put(name, cog, media_type="image/tiff; application=geotiff; profile=cloud-optimized")
                names.append(name)
        record = {**_identity(file), "files": names}
        store.put(f"{source.id}/records/{key}.json", json.dumps(record).encode(), media_type="application/json")
        return names

    done = _transfer(
        source,
        access,
        hrefs_in(source, access, read, area_deg),
        known=known,
        keep=keep,
        requests_per_s=requests_per_s,
        on_step=on_step,
    )
    report = {**done.to_dict(), "area_deg": area_deg, "unverified": source.unverified}
    store.put(f"{source.id}/report.json", json.dumps(report, indent=1).encode(), media_type="application/json")
    return done


def licence_text(source: Source) -> str:
    """Licence, attribution and uncertain values, for recipients of the files."""
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
    keep: Callable[[str, FileRef, Path], list[str]],
    requests_per_s: float,
    on_step: Callable[[TransferStep], None],
) -> Transferred:
    done = Transferred(source.id)
    on_step(TransferStep(0, len(hrefs)))
    next_at = 0.0
    for number, href in enumerate(hrefs, start=1):
        key = _key_of(href)
        if known(key):
            done.kept.append(public_href(href))
            on_step(TransferStep(number, len(hrefs), done.size_bytes))
            continue
        time.sleep(max(0.0, next_at - time.monotonic()))
        next_at = time.monotonic() + 1.0 / requests_per_s
        try:
            file = access.probe(href, source)
            with tempfile.TemporaryDirectory(prefix="orograph-fetch-") as scratch:
                done.copied += keep(key, file, access.downloaded(file, source, Path(scratch)))
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


def _to_cog(path: Path, cog: Path, file: FileRef) -> None:
    try:
        rasterio.shutil.copy(path, cog, **_COG)
    except RasterioError as error:
        raise SourceCorrupt(
            f"{path.name} cannot be copied as a COG: {error}", source=file.href, remedy="fetch it and look at it"
        ) from error
