"""The protocol by which source objects are identified, listed and read, and the settings of a client."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from orograph.pipeline.errors import ConfigError, InputError
from orograph.pipeline.sources.catalogue import Access
from orograph.pipeline.sources.refs import FileRef

Sink = Callable[[bytes], None]


class RangesIgnored(Exception):
    """The server answers a range request with the whole object."""


class ObjectClient(Protocol):
    """Reads objects of one protocol with one set of credentials; methods make one attempt and raise typed errors.

    All methods raise `SourceMissing` (the server reports that the object does not exist), `SourceInaccessible` (denied,
    redirected, no such bucket, bad credentials), `SourceUnavailable` (may pass), `SourceChanged` (another ETag than
    planned) and `SourceCorrupt` (a response that cannot be checked).
    """

    def probe(self, href: str) -> FileRef:
        """Identity and size of an object."""
        ...

    def range(self, file: FileRef, start: int, end: int) -> bytes:
        """Bytes from `start` up to `end` of the planned version.

        Raises:
            RangesIgnored: the server sent the whole object.
        """
        ...

    def stream(self, file: FileRef, sink: Sink) -> str | None:
        """Write the planned version to `sink` in pieces; return the MD5 that the server states, if any."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Hrefs that start with a prefix, sorted."""
        ...

    def is_readable(self, prefix: str) -> bool:
        """Whether an object below the prefix can be listed; False if the protocol cannot list."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a client; hashable, so that each process has one client per settings.

    Attributes:
        endpoint_url, region, profile, anonymous, requester_pays: Options of S3.
        ignore_environment: Use Amazon's endpoint even if `AWS_ENDPOINT_URL` names the store's.
        headers: Headers of HTTP requests.
        options: Options of other fsspec file systems.
        read_timeout_s: Longest time to wait for a response.
    """

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    anonymous: bool = False
    requester_pays: bool = False
    ignore_environment: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str | int | float | bool], ...] = ()
    read_timeout_s: float = 60.0

    @classmethod
    def of(cls, access: Access, *, anonymous: bool, store_endpoint_url: str | None, read_timeout_s: float) -> Settings:
        """Settings of a source: the store's endpoint serves only sources that use the store's credentials."""
        own = access.endpoint_url is not None or access.profile is not None or anonymous
        return cls(
            endpoint_url=access.endpoint_url if own else store_endpoint_url,
            region=access.region,
            profile=access.profile,
            anonymous=anonymous,
            requester_pays=access.requester_pays,
            ignore_environment=own and access.endpoint_url is None,
            headers=tuple(sorted(access.headers.items())),
            options=tuple(sorted(access.options.items())),
            read_timeout_s=read_timeout_s,
        )


_PROTOCOL: Final = re.compile(r"[a-z][a-z0-9+.-]*")
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def protocol_of(href: str) -> str:
    """The protocol of an href; of the first link if the href is a chain.

    Raises:
        InputError: GDAL's virtual paths, or not a URL.
    """
    if href.startswith("/vsi"):
        raise InputError(
            f"not a place sources are read from: {href[:200]!r}", remedy="use a path, s3://, https:// or zip://...::"
        )
    protocol = href.partition("://")[0] if "://" in href else "file"
    if not _PROTOCOL.fullmatch(protocol):
        raise InputError(f"not a URL: {href[:200]!r}", remedy="use a path, s3:// or https://")
    return protocol


def expanded(text: str) -> str:
    """Replace `${NAME}` in a setting by environment variables.

    Raises:
        ConfigError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise ConfigError(
                f"environment variable {match[1]} is not set", remedy=f"set {match[1]} where sources are read"
            )
        return found

    return _VARIABLE.sub(value, text)
