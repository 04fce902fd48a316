"""Objects on HTTP servers, through one httpx client per process with kept connections.

fsspec's file system is not used, because status, ETag and Content-Range of each response must be checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from orograph.infra.objects.client import RangesIgnored, Settings, Sink, expanded
from orograph.infra.stores.http_client import USER_AGENT
from orograph.infra.stores.retry import retry_after_s
from orograph.pipeline.errors import (
    InputError,
    SourceChanged,
    SourceCorrupt,
    SourceInaccessible,
    SourceMissing,
    SourceUnavailable,
)
from orograph.pipeline.sources.refs import FileRef

_CHUNK: Final = 2**20
_PASSING: Final = {408, 425, 429, 500, 502, 503, 504}
_CAUSES: Final = {
    401: ("the server asks for credentials", "set them in `access.headers` of the source"),
    403: ("the server denies access", "check the credentials in `access.headers` of the source; they may have expired"),
    407: ("a proxy asks for credentials", "set HTTPS_PROXY with credentials"),
    410: ("the server says that the object is gone for good", "correct the href in the source catalogue"),
    451: ("the server may not give the object out", "choose another source"),
}
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class HttpObjects:
    """Reads `http://` and `https://` objects; redirects are errors: the catalogue must give the final address."""

    def __init__(self, settings: Settings) -> None:
        import httpx

        headers = {name: expanded(value) for name, value in settings.headers}
        self._client = httpx.Client(
            timeout=httpx.Timeout(settings.read_timeout_s, connect=10.0),
            headers={"User-Agent": USER_AGENT, **headers, "Accept-Encoding": "identity"},
            follow_redirects=False,
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=16),
        )

    def probe(self, href: str) -> FileRef:
        """Identity and size by HEAD, or by the first byte where the server rejects HEAD."""
        with _faults(href):
            answer = self._client.head(href)
            # Signed URLs are signed for GET alone.
            if answer.status_code in {401, 403, 405, 501}:
                return self._probe_by_range(href)
            _check(answer, href)
            return FileRef(href=href, etag=_identity(answer.headers, href), size_bytes=_size(answer, href))

    def range(self, file: FileRef, start: int, end: int) -> bytes:
        """See `ObjectClient.range`."""
        headers = {"Range": f"bytes={start}-{end - 1}", **_condition(file)}
        with _faults(file.href), self._client.stream("GET", file.href, headers=headers) as answer:
            _check_version(answer, file)
            if answer.status_code == 200:
                raise RangesIgnored
            if _part(answer, file.href)[:2] != (start, end):
                raise SourceUnavailable(
                    f"asked for bytes {start} to {end}, got {answer.headers.get('content-range')}", source=file.href
                )
            return _exactly(answer, end - start, file.href)

    def stream(self, file: FileRef, sink: Sink) -> str | None:
        """See `ObjectClient.stream`."""
        with _faults(file.href), self._client.stream("GET", file.href, headers=_condition(file)) as answer:
            _check_version(answer, file)
            if "text/html" in answer.headers.get("content-type", ""):
                raise SourceCorrupt("the server answered with an HTML page, not a raster", source=file.href)
            for chunk in answer.iter_bytes(_CHUNK):
                sink(chunk)
        return None

    def list(self, prefix: str) -> Iterator[str]:
        """Raises: HTTP servers cannot be listed."""
        raise InputError(
            f"{prefix}: HTTP servers cannot be listed",
            remedy="name each file, or use a STAC collection, a list of URLs or a tile index",
        )

    def is_readable(self, _prefix: str) -> bool:
        """Raises: HTTP servers cannot be listed."""
        return False

    def _probe_by_range(self, href: str) -> FileRef:
        with self._client.stream("GET", href, headers={"Range": "bytes=0-0"}) as answer:
            _check(answer, href)
            return FileRef(href=href, etag=_identity(answer.headers, href), size_bytes=_size(answer, href))


def _condition(file: FileRef) -> dict[str, str]:
    return {} if file.etag.startswith(("modified:", "W/")) else {"If-Match": f'"{file.etag}"'}


def _check_version(answer: Any, file: FileRef) -> None:
    """Reject every answer that is not of the planned version."""
    if answer.status_code in {412, 416}:
        raise changed(file, "another")
    _check(answer, file.href)
    etag = _identity(answer.headers, file.href, _size(answer, file.href))
    if etag != file.etag:
        raise changed(file, etag)


def _check(answer: Any, href: str) -> None:
    status, headers = answer.status_code, answer.headers
    if status in {200, 206}:
        if headers.get("content-encoding", "identity") != "identity":
            raise SourceUnavailable(f"the server sent {headers['content-encoding']}, asked was identity", source=href)
        return
    if status in _PASSING:
        error = SourceUnavailable(f"the server answered {status}", source=href)
        error.retry_after_s = retry_after_s(headers.get("retry-after"))  # type: ignore[attr-defined]
        raise error
    if status == 404:
        raise SourceMissing("object not found (404)", source=href, remedy="correct the href in the source catalogue")
    if 300 <= status < 400:
        target = headers.get("location", "elsewhere")
        raise SourceInaccessible(
            f"the server redirects ({status}) to {target}",
            source=href,
            remedy="name that place in the source catalogue",
        )
    cause, remedy = _CAUSES.get(status, ("the server rejects the request", "check the href in the source catalogue"))
    raise SourceInaccessible(f"{cause} ({status})", source=href, remedy=remedy)


def _exactly(answer: Any, count: int, href: str) -> bytes:
    data = bytearray()
    for chunk in answer.iter_raw(_CHUNK):
        data += chunk
        if len(data) > count:
            break
    if len(data) != count:
        raise SourceUnavailable(f"{len(data)} bytes came, {count} were asked for", source=href)
    return bytes(data)


def _part(answer: Any, href: str) -> tuple[int, int, int]:
    """First byte, end and size of the object, of a 206."""
    match = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    if match is None:
        raise SourceUnavailable("a 206 answer without a Content-Range", source=href)
    return int(match[1]), int(match[2]) + 1, int(match[3])


def _size(answer: Any, href: str) -> int:
    if answer.status_code == 206:
        return _part(answer, href)[2]
    length = answer.headers.get("content-length", "")
    if not length.isdigit():
        raise SourceCorrupt("the server gives no length, so a truncated transfer could not be noticed", source=href)
    return int(length)


def _identity(headers: Any, href: str, size: int | None = None) -> str:
    etag = headers.get("etag", "")
    if etag and not etag.startswith("W/"):
        return str(etag.strip('"'))
    if modified := headers.get("last-modified"):
        return f"modified:{modified}:{headers.get('content-length', '') if size is None else size}"
    raise SourceCorrupt(
        "the server gives neither ETag nor time of change, so a change could not be noticed",
        source=href,
        remedy="download the file and list the local copy",
    )


def changed(file: FileRef, etag: str) -> SourceChanged:
    """The error for an object that changed since planning."""
    return SourceChanged(
        f"the object's ETag is now {etag}, it was planned with {file.etag}",
        source=file.href,
        remedy="plan again: the new content makes a new run key",
    )


@contextmanager
def _faults(href: str) -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"{type(error).__name__}: {error}", source=href) from error
    except httpx.InvalidURL as error:
        raise InputError(f"not a URL: {error}", source=href) from error
