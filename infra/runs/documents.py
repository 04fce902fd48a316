"""Reads small documents, such as listings of sources, from paths, HTTP servers and buckets."""

from __future__ import annotations

from typing import Final

from orograph.infra.runs.fetch import Fetcher
from orograph.infra.stores.http_client import http_client
from orograph.infra.stores.retry import Backoff, retry_after_s, retrying
from orograph.pipeline.errors import OrographError, SourceMissing, SourceUnavailable
from orograph.pipeline.planning.indexes import read_local

_PASSING_STATUS: Final = {408, 425, 429, 500, 502, 503, 504}


def read_document(href: str, *, endpoint_url: str | None = None, backoff: Backoff | None = None) -> bytes:
    """The bytes of a document; redirects of HTTP servers are followed.

    Raises:
        SourceMissing: it does not exist, or access is denied.
        SourceUnavailable: the server fails or answers incorrectly, after all attempts.
    """
    try:
        if href.startswith(("http://", "https://")):
            return retrying(lambda: _get(href), backoff or Backoff())
        if "://" in href and not href.startswith("file://"):
            return Fetcher(endpoint_url=endpoint_url, backoff=backoff).read(href)
    except OrographError as error:
        raise error.at(source=href) from error.__cause__
    return read_local(href)


def _get(href: str) -> bytes:
    import httpx

    try:
        answer = http_client(follow_redirects=True).get(href)
    except httpx.HTTPError as error:
        raise SourceUnavailable(f"{type(error).__name__}: {error}", source=href) from error
    if answer.status_code in _PASSING_STATUS:
        unavailable = SourceUnavailable(f"the server answered {answer.status_code}", source=href)
        unavailable.retry_after_s = retry_after_s(answer.headers.get("retry-after"))  # type: ignore[attr-defined]
        raise unavailable
    if answer.status_code != httpx.codes.OK:
        raise SourceMissing(
            f"the server answered {answer.status_code}", source=href, remedy="check the href in the source catalogue"
        )
    return answer.content
