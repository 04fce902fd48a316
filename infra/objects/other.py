"""Objects of all other protocols of fsspec (gs, abfs, sftp, memory, ...), which need the protocol's package."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from orograph.infra.objects.client import Settings, Sink, expanded
from orograph.infra.objects.http import changed
from orograph.pipeline.errors import (
    ConfigError,
    InputError,
    OrographError,
    SourceCorrupt,
    SourceInaccessible,
    SourceMissing,
    SourceUnavailable,
)
from orograph.pipeline.sources.refs import FileRef

_CHUNK: Final = 8 * 2**20
_IDENTITIES: Final = ("etag", "ETag", "generation", "md5Hash", "content_md5", "mtime", "created", "last_modified")
"""Names that file systems use for an object's version, best first."""
_EXTRAS: Final = {"gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure"}
_PASSING: Final = {408, 425, 429}


class FsspecObjects:
    """Reads objects by an fsspec file system.

    fsspec has no conditional reads. So an object's identity is compared before and after the bytes are read: if it is
    equal, all bytes are of the planned version.
    """

    def __init__(self, protocol: str, settings: Settings) -> None:
        from fsspec.registry import known_implementations, registry

        if protocol not in registry and protocol not in known_implementations:
            raise InputError(
                f"not a place sources are read from: {protocol}://", remedy="use s3://, https:// or a path"
            )
        self._options: dict[str, Any] = {
            name: expanded(value) if isinstance(value, str) else value for name, value in settings.options
        }
        if settings.anonymous and protocol in {"gs", "gcs"}:
            self._options.setdefault("token", "anon")
        elif settings.anonymous and protocol in {"abfs", "abfss", "az"}:
            self._options.setdefault("anon", True)
        if protocol in {"gs", "gcs"}:
            # Support of zonal buckets asks each bucket for its kind by gRPC, which other servers answer after a minute.
            os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        self._protocol = protocol

    def _at(self, href: str) -> tuple[Any, str]:
        """File system and path of an href; fsspec keeps one file system per host and options."""
        from fsspec.core import url_to_fs

        try:
            found: tuple[Any, str] = url_to_fs(href, **self._options)
        except ImportError as error:
            extra = _EXTRAS.get(self._protocol, "")
            remedy = f"pip install 'orograph[{extra}]'" if extra else str(error)
            raise ConfigError(f"{self._protocol}:// needs a package that is not installed", remedy=remedy) from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{href}: {error}", remedy="correct the href or `access.options` of the source") from error
        return found

    def probe(self, href: str) -> FileRef:
        """Identity and size; see `ObjectClient.probe`."""
        with _faults(href):
            fs, path = self._at(href)
            fs.invalidate_cache()
            info = fs.info(path)
        found = next((str(info[name]) for name in _IDENTITIES if info.get(name)), None)
        if found is None or info.get("size") is None:
            raise SourceCorrupt(
                f"{self._protocol}:// gives neither ETag nor time of change, so a change could not be noticed",
                source=href,
                remedy="download the file and list the local copy",
            )
        return FileRef(href=href, etag=found.strip('"'), size_bytes=int(info["size"]))

    def range(self, file: FileRef, start: int, end: int) -> bytes:
        """See `ObjectClient.range`."""
        with _faults(file.href):
            fs, path = self._at(file.href)
            data: bytes = fs.cat_file(path, start=start, end=end)
        self._check_version(file)
        if len(data) != end - start:
            raise SourceUnavailable(f"{len(data)} bytes came, {end - start} were asked for", source=file.href)
        return data

    def stream(self, file: FileRef, sink: Sink) -> str | None:
        """See `ObjectClient.stream`."""
        with _faults(file.href):
            fs, path = self._at(file.href)
            with fs.open(path, "rb") as body:
                while chunk := body.read(_CHUNK):
                    sink(chunk)
        self._check_version(file)
        return None

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectClient.list`."""
        with _faults(prefix):
            fs, folder = self._at(prefix.rpartition("/")[0])
            fs.invalidate_cache()
            found = [f"{prefix.rpartition('/')[0]}{path.removeprefix(folder)}" for path in fs.find(folder)]
        yield from sorted(href for href in found if href.startswith(prefix))

    def is_readable(self, prefix: str) -> bool:
        """Whether an object is listed below the prefix."""
        return next(iter(self.list(prefix)), None) is not None

    def _check_version(self, file: FileRef) -> None:
        etag = self.probe(file.href).etag
        if etag != file.etag:
            raise changed(file, etag)


@contextmanager
def _faults(href: str) -> Iterator[None]:
    try:
        yield
    except OrographError:
        raise
    except FileNotFoundError as error:
        raise SourceMissing(
            "object not found", source=href, remedy="correct the href in the source catalogue"
        ) from error
    except Exception as error:
        raise _typed(error, href) from error


def _typed(error: Exception, href: str) -> OrographError:
    status = next(
        (int(value) for name in ("status_code", "code", "status") if str(value := getattr(error, name, "")).isdigit()),
        0,
    )
    said = (str(error).splitlines() or [type(error).__name__])[0][:300]
    if status == 404:
        return SourceMissing("object not found (404)", source=href, remedy="correct the href in the source catalogue")
    if status in _PASSING or status >= 500 or isinstance(error, TimeoutError | ConnectionError):
        return SourceUnavailable(f"{type(error).__name__}: {said}", source=href)
    # gcsfs raises a plain OSError for 403.
    is_denied = isinstance(error, PermissionError) or said.startswith("Forbidden") or "Auth" in type(error).__name__
    if is_denied or 300 <= status < 500:
        return SourceInaccessible(
            f"the server denies access: {said}",
            source=href,
            remedy="check credentials and `access.options` of the source",
        )
    return SourceUnavailable(f"{type(error).__name__}: {said}", source=href)
