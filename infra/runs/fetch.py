"""Sources to local files, whole, and only if they are still what was planned with.

Remote objects are copied to scratch in one request that names the ETag, so that no raster is ever pieced together from
two versions of a file; local files are used where they lie. Every file passes the header gate before it is returned.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from orograph.infra.stores.retry import Backoff, retrying
from orograph.infra.stores.s3_client import LazyClient, S3Options, code_of, status_of, translated
from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import (
    InputError,
    OrographError,
    SourceChanged,
    SourceCorrupt,
    SourceMissing,
    SourceUnavailable,
    StoreUnwritable,
    TransientError,
)
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.untrusted_header import check_raster_file

T = TypeVar("T")

_CHUNK: Final = 2**20
_MD5: Final = re.compile(r"[0-9a-f]{32}")
_PASSING_STATUS: Final = {408, 425, 429, 500, 502, 503, 504}

_clients: dict[S3Options, LazyClient] = {}
_lock = threading.Lock()


class Fetcher:
    """Fetches and probes; picklable, holds only settings.

    Args:
        endpoint_url: Of an S3 server that is not AWS.
        anonymous: Read public buckets without credentials.
        backoff: Waits between tries.
        read_timeout_s: A silent server is given up after this.
    """

    def __init__(
        self,
        *,
        endpoint_url: str | None = None,
        anonymous: bool = False,
        backoff: Backoff | None = None,
        read_timeout_s: float = 60.0,
    ) -> None:
        self.options = S3Options(endpoint_url=endpoint_url, anonymous=anonymous, read_timeout_s=read_timeout_s)
        self.backoff = backoff or Backoff()
        self.read_timeout_s = read_timeout_s

    def probe(self, href: str) -> FileRef:
        """Identity and size of what lies at an href now.

        Raises:
            SourceMissing: nothing.
            SourceUnavailable: the server does not answer as it should, after all tries.
            SourceCorrupt: the server tells nothing by which a change could be noticed.
        """
        scheme = _scheme(href)
        if scheme == "file":
            path = _local_path(href)
            return FileRef(href=href, etag=local_etag(path), size_bytes=path.stat().st_size)
        probe = self._probe_s3 if scheme == "s3" else self._probe_http
        return self._retrying(lambda: probe(href), href)

    def fetch(self, file: FileRef, folder: Path) -> Path:
        """A local file with the planned content; remote objects land below `folder`, under their own name.

        Raises:
            SourceChanged: the object is another than the one planned with.
            SourceMissing, SourceUnavailable: as `probe`.
            SourceCorrupt: truncated, wrong checksum, or refused by the header gate.
        """
        scheme = _scheme(file.href)
        if scheme == "file":
            self.check_unchanged(file)
            path = _local_path(file.href)
        else:
            path = _place(file, folder)
            if not (path.exists() and path.stat().st_size == file.size_bytes):
                self._retrying(lambda: self._download(file, path, scheme), file.href)
                self.check_unchanged(file)
        try:
            check_raster_file(path)
        except SourceCorrupt as error:
            error.source = file.href
            if scheme != "file":
                path.unlink(missing_ok=True)
            raise
        return path

    def read(self, href: str) -> bytes:
        """The whole of a small object, such as weights.

        Raises:
            SourceMissing, SourceUnavailable, SourceChanged, SourceCorrupt: as `fetch`.
        """
        scheme = _scheme(href)
        if scheme == "file":
            return _local_path(href).read_bytes()
        file = self.probe(href)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object"
            self._retrying(lambda: self._download(file, path, scheme), href)
            return path.read_bytes()

    def check_unchanged(self, file: FileRef) -> None:
        """Look again, after reading: a local file may have been rewritten meanwhile.

        Raises:
            SourceChanged: the content is not what was planned with.
        """
        now = self.probe(file.href)
        if now.etag != file.etag:
            raise _changed(file, now.etag)

    def _retrying(self, call: Callable[[], T], href: str) -> T:
        try:
            return retrying(call, self.backoff)
        except OrographError as error:
            raise error.at(source=href) from error.__cause__

    def _download(self, file: FileRef, path: Path, scheme: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{time.monotonic_ns():x}")
        digest = hashlib.md5(usedforsecurity=False)
        size = 0
        try:
            with (self._s3_body if scheme == "s3" else self._http_body)(file) as chunks, temporary.open("wb") as out:
                for chunk in chunks:
                    size += len(chunk)
                    if size > file.size_bytes:
                        raise SourceUnavailable(f"more than the announced {file.size_bytes} bytes came")
                    digest.update(chunk)
                    out.write(chunk)
            if size != file.size_bytes:
                raise SourceUnavailable(f"the transfer ended after {size} of {file.size_bytes} bytes")
            # The ETag of an object that was uploaded in one piece is the MD5 of its content.
            if scheme == "s3" and _MD5.fullmatch(file.etag) and digest.hexdigest() != file.etag:
                raise SourceUnavailable(f"the bytes that came have the MD5 {digest.hexdigest()}, not {file.etag}")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def _client(self) -> Any:
        with _lock:
            return _clients.setdefault(self.options, LazyClient(self.options)).get()

    def _probe_s3(self, href: str) -> FileRef:
        bucket, key = _bucket_and_key(href)
        with _s3_faults(href):
            answer = self._client().head_object(Bucket=bucket, Key=key)
        return FileRef(href=href, etag=answer["ETag"].strip('"'), size_bytes=answer["ContentLength"])

    @contextmanager
    def _s3_body(self, file: FileRef) -> Iterator[Iterator[bytes]]:
        bucket, key = _bucket_and_key(file.href)
        with _s3_faults(file.href):
            answer = self._client().get_object(Bucket=bucket, Key=key, IfMatch=file.etag)
            if answer["ETag"].strip('"') != file.etag:
                raise _changed(file, answer["ETag"])
            yield answer["Body"].iter_chunks(_CHUNK)

    def _probe_http(self, href: str) -> FileRef:
        with _http_faults(href), self._http() as client:
            answer = client.head(href)
            _check_status(answer.status_code, answer.headers, href)
            return FileRef(href=href, etag=_http_etag(answer.headers, href), size_bytes=_length(answer.headers, href))

    @contextmanager
    def _http_body(self, file: FileRef) -> Iterator[Iterator[bytes]]:
        headers = {"If-Match": f'"{file.etag}"'} if not file.etag.startswith(("modified:", "W/")) else {}
        with (
            _http_faults(file.href),
            self._http() as client,
            client.stream("GET", file.href, headers=headers) as answer,
        ):
            if answer.status_code == 412:
                raise _changed(file, "another")
            _check_status(answer.status_code, answer.headers, file.href)
            if "text/html" in answer.headers.get("content-type", ""):
                raise SourceCorrupt("the server answered with an HTML page, not a raster", source=file.href)
            etag = _http_etag(answer.headers, file.href)
            if etag != file.etag:
                raise _changed(file, etag)
            yield answer.iter_bytes(_CHUNK)

    def _http(self) -> Any:
        import httpx

        # Redirects are not followed: where a source lies is the catalogue's word, not the server's.
        return httpx.Client(
            timeout=httpx.Timeout(self.read_timeout_s, connect=10.0),
            headers={"Accept-Encoding": "identity"},
            follow_redirects=False,
        )


def local_etag(path: Path) -> str:
    """`sha256:<hex>` of a local file, read again only when the file changed.

    Raises:
        SourceMissing: there is no such file.
        SourceChanged: it was written while it was read.
    """
    try:
        return f"sha256:{file_sha256(path)}"
    except OSError as error:
        raise SourceMissing(f"cannot be read: {error.strerror}", source=str(path)) from error


def probe(href: str, *, endpoint_url: str | None = None, anonymous: bool = False) -> FileRef:
    """Identity and size of what lies at an href now; see `Fetcher.probe`."""
    return Fetcher(endpoint_url=endpoint_url, anonymous=anonymous).probe(href)


def fetch(file: FileRef, folder: Path, *, endpoint_url: str | None = None, anonymous: bool = False) -> Path:
    """A local file with the planned content; see `Fetcher.fetch`."""
    return Fetcher(endpoint_url=endpoint_url, anonymous=anonymous).fetch(file, folder)


def _scheme(href: str) -> str:
    scheme = href.partition("://")[0] if "://" in href else "file"
    if href.startswith("/vsi") or scheme not in {"file", "s3", "http", "https"}:
        raise InputError(f"not a place sources are read from: {href[:200]!r}", remedy="use a path, s3:// or https://")
    return scheme


def _local_path(href: str) -> Path:
    path = Path(href.removeprefix("file://"))
    if not path.is_file():
        raise SourceMissing("there is no such file", source=href, remedy="correct the path in the source catalogue")
    return path


def _place(file: FileRef, folder: Path) -> Path:
    # The HGT driver reads the corner from the file's name, so the name stays; the folder tells versions apart.
    version = hashlib.sha256(f"{file.href}\n{file.etag}".encode()).hexdigest()[:20]
    name = Path(urlsplit(file.href).path).name
    return folder / version / (re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".") or "source")


def _bucket_and_key(href: str) -> tuple[str, str]:
    bucket, _, key = href.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise SourceMissing("an s3:// href needs a bucket and a key", source=href)
    return bucket, key


def _changed(file: FileRef, etag: str) -> SourceChanged:
    return SourceChanged(
        f"the object's ETag is now {etag}, it was planned with {file.etag}",
        source=file.href,
        remedy="plan again: the new content makes a new run key",
    )


@contextmanager
def _s3_faults(href: str) -> Iterator[None]:
    try:
        yield
    except OrographError:
        raise
    except Exception as error:
        if status_of(error) == 412:
            raise SourceChanged("the object changed since it was planned with", source=href) from error
        if status_of(error) == 404 or code_of(error) in {"NoSuchKey", "NoSuchBucket"}:
            raise SourceMissing("nothing lies there", source=href) from error
        found = translated(error, href)
        if isinstance(found, TransientError):
            unavailable = SourceUnavailable(found.message, source=href)
            unavailable.retry_after_s = getattr(found, "retry_after_s", None)  # type: ignore[attr-defined]
            raise unavailable from error
        if isinstance(found, StoreUnwritable):
            raise SourceMissing(found.message, source=href, remedy=found.remedy) from error
        raise InputError(found.message, source=href) from error


@contextmanager
def _http_faults(href: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"{type(error).__name__}: {error}", source=href) from error


def _check_status(status: int, headers: Any, href: str) -> None:
    if status in {200, 206}:
        return
    if status in _PASSING_STATUS:
        error = SourceUnavailable(f"the server answered {status}", source=href)
        asked = headers.get("retry-after", "")
        error.retry_after_s = float(asked) if asked.isdigit() else None  # type: ignore[attr-defined]
        raise error
    if 300 <= status < 400:
        target = headers.get("location", "elsewhere")
        raise SourceMissing(f"moved to {target}", source=href, remedy="name that place in the source catalogue")
    raise SourceMissing(f"the server answered {status}", source=href)


def _http_etag(headers: Any, href: str) -> str:
    etag = headers.get("etag", "")
    if etag and not etag.startswith("W/"):
        return str(etag.strip('"'))
    if modified := headers.get("last-modified"):
        return f"modified:{modified}:{_length(headers, href)}"
    raise SourceCorrupt(
        "the server tells neither ETag nor time of change, so a change could not be noticed",
        source=href,
        remedy="download the file and list the local copy",
    )


def _length(headers: Any, href: str) -> int:
    length = headers.get("content-length", "")
    if not length.isdigit():
        raise SourceCorrupt("the server tells no length, so a truncated transfer could not be noticed", source=href)
    return int(length)
