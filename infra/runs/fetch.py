"""Makes source files available on this machine, if they are unchanged since planning.

Local files are used where they are. Of a remote TIFF only the header and the needed blocks are fetched, each range
pinned to the planned ETag (docs/design/075); other files are copied whole, once per node. The header of every file is
checked before the file is returned.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from orograph.infra.objects.cache import NodeCache
from orograph.infra.objects.client import ObjectClient, RangesIgnored, Settings, protocol_of
from orograph.infra.objects.connect import client_of
from orograph.infra.objects.counts import ReadCounts
from orograph.infra.objects.http import changed
from orograph.infra.objects.sparse import SparseCopy
from orograph.infra.stores.retry import Backoff, retrying
from orograph.pipeline.errors import (
    DiskFull,
    IngestNeeded,
    InputError,
    OrographError,
    SourceChanged,
    SourceCorrupt,
    SourceMissing,
    SourceUnavailable,
)
from orograph.pipeline.formats.tiff_index import is_tiff
from orograph.pipeline.sources.catalogue import Access
from orograph.pipeline.sources.file_identity import check_local, local_ref
from orograph.pipeline.sources.partial import RasterFile, path_of
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.sidecars import basename, candidates, companions
from orograph.pipeline.sources.untrusted_header import check_raster_file

T = TypeVar("T")

WHOLE_BELOW_BYTES: Final = 128 * 2**10
"""Smaller objects come in one request: their header alone would be a good part of them."""
_ARCHIVES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".gz", ".bz2", ".xz")
_OF_SEVERAL_FILES: Final = frozenset({"VRT", "GTI", "ENVI", "EHdr", "SAGA", "AIG"})
_MAGIC_GLOB: Final = re.compile(r"[*?\[]")
_LOG = logging.getLogger(__name__)


class Fetcher:
    """Fetches, probes and lists objects of one source.

    Args:
        endpoint_url: S3 endpoint of the store, for sources that use its credentials and name no endpoint of their own.
        anonymous: Read public buckets without credentials.
        access: Endpoint and credentials of the source's server.
        cache: The node's cache; None for no cache.
        backoff: Waiting times between attempts.
        read_timeout_s: Longest time to wait for a server's response.

    Attributes:
        counts: Requests and bytes so far.
    """

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        anonymous: bool = False,
        access: Access | None = None,
        cache: NodeCache | None = None,
        backoff: Backoff | None = None,
        read_timeout_s: float = 60.0,
    ) -> None:
        self.settings = Settings.of(
            access or Access(),
            anonymous=anonymous,
            store_endpoint_url=endpoint_url,
            read_timeout_s=read_timeout_s,
        )
        self.cache = cache
        self.backoff = backoff or Backoff()
        self.counts = ReadCounts()

    def probe(self, href: str) -> FileRef:
        """Current identity and size of an object; for a chain (`zip://a.tif::s3://...`) those of the archive.

        Raises:
            SourceMissing: the server reports that the object does not exist.
            SourceInaccessible: denied, redirected, no such bucket; whether the object exists is unknown.
            SourceUnavailable: the server fails or answers incorrectly, after all attempts.
            SourceCorrupt: the server gives no ETag or other value that shows a change.
        """
        place = _outermost(href)
        if protocol_of(place) == "file":
            found = local_ref(_local_path(place)).model_copy(update={"href": place})
        else:
            found = self._asking(lambda client: client.probe(place), place)
        return found if place == href else found.model_copy(update={"href": href})

    def list(self, pattern: str) -> Iterator[str]:
        """Hrefs that match a pattern such as `s3://bucket/dtm/*.tif`, sorted; `**` crosses folders.

        Raises:
            SourceMissing: nothing matches.
            SourceInaccessible, SourceUnavailable, InputError: the place cannot be listed.
        """
        prefix = _MAGIC_GLOB.split(pattern, maxsplit=1)[0]
        listed = self._asking(lambda client: list(client.list(prefix)), pattern)
        found = [href for href in listed if _matches(href, pattern)]
        if not found:
            raise SourceMissing(
                f"none of {len(listed)} objects below {prefix} matches {pattern}",
                source=pattern,
                remedy="correct the pattern in the source catalogue",
            )
        yield from found

    def is_readable(self, prefix: str) -> bool:
        """Whether an object below a prefix can be listed; False for protocols without listing."""
        return self._asking(lambda client: client.is_readable(prefix), prefix)

    def open(self, file: FileRef, folder: Path) -> RasterFile:
        """A raster to read windows of: a local path, or a sparse copy below `folder` that fetches the blocks it needs.

        Raises:
            SourceChanged: the object changed since planning.
            SourceMissing, SourceInaccessible, SourceUnavailable: as `probe`.
            SourceCorrupt: rejected by the header gate, truncated or damaged.
            DiskFull: the scratch disk is full.
        """
        if protocol_of(file.href) == "file" or file.sidecars or _must_be_whole(file):
            return self.fetch(file, folder)
        place = _place(file, folder / uuid.uuid4().hex[:12])
        try:
            copy = SparseCopy.opened(
                file, place, lambda start, end: self._range(file, start, end), self.cache, self.counts
            )
        except RangesIgnored:
            _LOG.info("%s: the server ignores byte ranges; the object is fetched whole", file.href)
            return self.fetch(file, folder)
        except _NotTiff:
            return self.fetch(file, folder)
        if copy is None or any(level.is_mask for level in copy.index.levels):
            # Blocks of a mask are not brought in one by one: a hole in it would read as void.
            return self.fetch(file, folder)
        _check(copy, file)
        return copy

    def fetch(self, file: FileRef, folder: Path) -> Path:
        """A whole local file with the planned content; remote objects are downloaded to `folder` under their own name.

        Raises:
            SourceChanged, SourceMissing, SourceInaccessible, SourceUnavailable, SourceCorrupt, DiskFull: as `open`.
        """
        if protocol_of(file.href) == "file":
            self.check_unchanged(file)
            path = _local_path(file.href)
            _check_same_sidecars(file, path)
        else:
            path = self._whole(file, folder)
            self._fetch_sidecars(file, path, folder)
        _check(path, file)
        return path

    def download(self, file: FileRef, folder: Path) -> Path:
        """Download a whole object of any format to `folder` under its own name.

        Raises:
            SourceChanged, SourceMissing, SourceInaccessible, SourceUnavailable, SourceCorrupt, DiskFull: as `open`.
        """
        if protocol_of(file.href) == "file":
            self.check_unchanged(file)
            return _local_path(file.href)
        return self._whole(file, folder)

    def _fetch_sidecars(self, file: FileRef, raster: Path, folder: Path) -> None:
        """Side-cars as they were planned, next to their raster and under its local name; others are removed."""
        planned = {sidecar.href: sidecar for sidecar in file.sidecars}
        for href, place in zip(candidates(file.href), candidates(str(raster)), strict=False):
            sidecar = planned.get(href)
            if sidecar is None:
                Path(place).unlink(missing_ok=True)
                continue
            fetched = self._whole(sidecar, folder)
            if fetched.read_bytes()[:512].lstrip().lower().startswith((b"<!doctype html", b"<html")):
                continue  # a server that answers with a page where there is nothing
            if place.endswith(".msk"):
                check_raster_file(fetched)
            shutil.copyfile(fetched, place)

    def read(self, href: str) -> bytes:
        """Read a small object whole, such as weights or a list of cells.

        Raises:
            SourceMissing, SourceInaccessible, SourceUnavailable, SourceChanged, SourceCorrupt: as `fetch`.
        """
        if protocol_of(href) == "file":
            return _local_path(href).read_bytes()
        file = self.probe(href)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object"
            self._copied(file, path)
            return path.read_bytes()

    def check_unchanged(self, file: FileRef) -> None:
        """Check after reading that a local file was not rewritten meanwhile.

        Raises:
            SourceChanged: the content changed since planning.
        """
        place = _outermost(file.href)
        if protocol_of(place) == "file":
            check_local(file, _local_path(place))
            return
        now = self.probe(file.href)
        if now.etag != file.etag:
            raise changed(file, now.etag)

    def _asking(self, call: Callable[[ObjectClient], T], href: str) -> T:
        def counted() -> T:
            self.counts.add(requests=1)
            return call(client_of(href, self.settings))

        try:
            return retrying(counted, self.backoff)
        except OrographError as error:
            raise error.at(source=href) from error.__cause__

    def _range(self, file: FileRef, start: int, end: int) -> bytes:
        """A pinned range; at the start of the object, `RangesIgnored` and `_NotTiff` say that it must be whole."""

        def call(client: ObjectClient) -> bytes:
            try:
                return client.range(file, start, end)
            except RangesIgnored:
                if start == 0:
                    raise
                raise SourceUnavailable(
                    "the server sent the whole object instead of a range", source=file.href
                ) from None

        data = self._asking(call, file.href)
        self.counts.add(fetched=len(data))
        if start == 0 and not is_tiff(data):
            raise _NotTiff
        return data

    def _whole(self, file: FileRef, folder: Path) -> Path:
        path = _place(file, folder)
        if not (path.exists() and path.stat().st_size == file.size_bytes):
            inner, _, outer = file.href.rpartition("::")
            if inner:
                archive = file.model_copy(update={"href": outer})
                local = _local_path(outer) if protocol_of(outer) == "file" else self._whole(archive, folder)
                _unpack(f"{inner}::file://{local}", path, file)
            else:
                self._copied(file, path)
                self.check_unchanged(file)
        return path

    def _copied(self, file: FileRef, path: Path) -> None:
        """The whole object at a path, from the node's cache or its server."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.counts.add(needed=file.size_bytes)
        if self.cache is None:
            self._download(file, path)
        elif self.cache.whole(file, path, lambda place: self._download(file, place)):
            self.counts.add(hits=1, cached=file.size_bytes)

    def _download(self, file: FileRef, path: Path) -> None:
        temporary = path.with_name(f".{path.name}.{time.monotonic_ns():x}")
        transfer = _Transfer(file, temporary)
        try:
            self._asking(transfer, file.href)
            temporary.replace(path)
        except OSError as error:
            raise DiskFull(
                f"no space for {file.href}: {error}", remedy="free space or choose another --scratch"
            ) from error
        finally:
            self.counts.add(fetched=transfer.received)
            temporary.unlink(missing_ok=True)


class _NotTiff(Exception):
    """The object starts as no TIFF does; it is read whole."""


class _Transfer:
    """Copies an object whole, checked for length, and for its MD5 where the server promises one.

    Not every ETag of 32 hexadecimal digits is an MD5, whatever the server says. So when it differs, the object is
    copied again: the same bytes twice are right, other bytes are a damaged transfer.
    """

    def __init__(self, file: FileRef, path: Path) -> None:
        self.file, self.path, self.received = file, path, 0
        self._previous = ""

    def __call__(self, client: ObjectClient) -> None:
        digest, size = hashlib.md5(usedforsecurity=False), 0
        with self.path.open("wb") as out:

            def sink(chunk: bytes) -> None:
                nonlocal size
                size += len(chunk)
                if size > self.file.size_bytes:
                    raise SourceUnavailable(f"more than the announced {self.file.size_bytes} bytes came")
                digest.update(chunk)
                out.write(chunk)

            try:
                promised = client.stream(self.file, sink)
            finally:
                self.received += size
        if size != self.file.size_bytes:
            raise SourceUnavailable(f"the transfer ended after {size} of {self.file.size_bytes} bytes")
        found = digest.hexdigest()
        if promised is not None and promised != found != self._previous:
            self._previous = found
            raise SourceUnavailable(f"the bytes that came have the MD5 {found}, not {promised}")


def probe(href: str, *, endpoint_url: str | None = None, anonymous: bool = False) -> FileRef:
    """Current identity and size of an object; see `Fetcher.probe`."""
    return Fetcher(endpoint_url=endpoint_url, anonymous=anonymous).probe(href)


def fetch(file: FileRef, folder: Path, *, endpoint_url: str | None = None, anonymous: bool = False) -> Path:
    """A local file with the planned content; see `Fetcher.fetch`."""
    return Fetcher(endpoint_url=endpoint_url, anonymous=anonymous).fetch(file, folder)


def is_pattern(href: str) -> bool:
    """Whether a remote href is to be listed rather than read; `?` separates the query in HTTP URLs."""
    return (
        "://" in href
        and protocol_of(href) not in {"http", "https"}
        and bool(_MAGIC_GLOB.search(href))
        and ("*" in href or "[" in href)
    )


def _must_be_whole(file: FileRef) -> bool:
    name = urlsplit(file.href).path.lower()
    return "::" in file.href or file.size_bytes <= WHOLE_BELOW_BYTES or name.endswith(_ARCHIVES)


def _outermost(href: str) -> str:
    return href.rpartition("::")[2]


def _matches(href: str, pattern: str) -> bool:
    """Match folder by folder, so that `*` stays in its folder; `**` matches any number of them."""
    if "**" in pattern:
        return fnmatchcase(href, pattern.replace("**/", "*"))
    names, wanted = href.split("/"), pattern.split("/")
    return len(names) == len(wanted) and all(map(fnmatchcase, names, wanted))


def _check(raster: RasterFile, file: FileRef) -> None:
    try:
        header = check_raster_file(path_of(raster))
        if protocol_of(file.href) != "file":
            _check_alone(header.driver)
    except (SourceCorrupt, IngestNeeded) as error:
        error.source = file.href
        if protocol_of(file.href) != "file":
            path_of(raster).unlink(missing_ok=True)
        raise


def _check_alone(driver: str) -> None:
    """Reject a remote file that does not contain its heights alone."""
    if driver in _OF_SEVERAL_FILES:
        raise SourceCorrupt(
            f"a remote file of GDAL's format {driver} needs other files, which are not fetched",
            remedy="download its files and use them locally, or list the members in the source catalogue",
        )


def _unpack(chain: str, path: Path, file: FileRef) -> None:
    """Copy a member of a local archive, by fsspec."""
    import shutil

    import fsspec

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with fsspec.open(chain, "rb") as member, path.open("wb") as out:
            shutil.copyfileobj(member, out, 2**20)
    except (FileNotFoundError, KeyError) as error:
        path.unlink(missing_ok=True)
        raise SourceMissing("the archive has no such member", source=file.href, remedy="correct the href") from error
    except (ValueError, ImportError) as error:
        raise InputError(f"not a chain that fsspec opens: {error}", source=file.href) from error
    except Exception as error:
        path.unlink(missing_ok=True)
        raise SourceCorrupt(f"the archive is damaged: {error}", source=file.href, remedy="fetch it again") from error


def _local_path(href: str) -> Path:
    path = Path(href.removeprefix("file://"))
    if not path.is_file():
        raise SourceMissing("file not found", source=href, remedy="correct the path in the source catalogue")
    return path


def _check_same_sidecars(file: FileRef, path: Path) -> None:
    """A side-car that came, went or changed since planning changes heights as the file itself does."""
    planned = {sidecar.href: sidecar for sidecar in file.sidecars}
    found = companions(str(path))
    if set(found) != set(planned):
        raise SourceChanged(
            f"the side-cars or members of {path.name} are not the planned ones: {', '.join(map(basename, found)) or 'none'} now",
            source=file.href,
            remedy="plan again, or put them back",
        )
    for name in found:
        check_local(planned[name], Path(name))


def _place(file: FileRef, folder: Path) -> Path:
    # The HGT driver reads the corner from the file's name, so the name stays; the folder's name differs by version.
    version = hashlib.sha256(f"{file.href}\n{file.etag}".encode()).hexdigest()[:20]
    link = file.href.partition("::")[0]
    path = urlsplit(link).path if link.startswith("http") else link
    return folder / version / (re.sub(r"[^A-Za-z0-9_.-]", "_", path.rpartition("/")[2]).lstrip(".") or "source")
