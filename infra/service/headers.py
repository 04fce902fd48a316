"""Security headers of every response, and CORS headers that allow any page to read published data."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orograph.infra.service.addresses import path_below

_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:{hosts}; connect-src 'self'{hosts}; font-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FILE_POLICY: Final = "default-src 'none'; sandbox"
_READABLE: Final = ("GET", "HEAD", "OPTIONS")
_PUBLIC_POSTS: Final = ("/stac/search",)
_EXPOSED: Final = "Accept-Ranges, Content-Length, Content-Range, ETag, Location"


class SafeHeaders:
    """Adds the security headers that a response does not set itself.

    Args:
        app: The application.
        prefix: Path below which the service is found.
        hosts: Other origins the page may load pictures and data from.
    """

    def __init__(self, app: ASGIApp, *, prefix: str = "", hosts: tuple[str, ...] = ()) -> None:
        self._app = app
        self._prefix = prefix
        self._page_policy = _PAGE_POLICY.format(hosts="".join(f" {host}" for host in hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # Nothing of a store is ever a page: no script in a published file may run here.
                is_file = path_below(scope, self._prefix).startswith(("/files/", "/stac"))
                headers.setdefault("Content-Security-Policy", _FILE_POLICY if is_file else self._page_policy)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "no-referrer")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
            await send(message)

        await self._app(scope, receive, with_headers)


class PublicReading:
    """CORS for reading only: any page may read with or without a key; no other page may order or dismiss.

    Orders need `Content-Type: application/json`, which a browser sends across origins only after a preflight that is
    rejected here; so that an open service on the user's machine accepts orders from its own page only.
    """

    def __init__(self, app: ASGIApp, *, prefix: str = "") -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer preflights, add the headers to what may be read."""
        if scope["type"] != "http" or "origin" not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        wanted = Headers(scope=scope).get("access-control-request-method")
        if scope["method"] == "OPTIONS" and wanted is not None:
            await _preflight(wanted in _READABLE or _is_search(scope, self._prefix))(scope, receive, send)
            return
        if scope["method"] not in _READABLE and not _is_search(scope, self._prefix):
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Access-Control-Allow-Origin"] = "*"
                headers["Access-Control-Expose-Headers"] = _EXPOSED
            await send(message)

        await self._app(scope, receive, with_headers)


def _is_search(scope: Scope, prefix: str) -> bool:
    return path_below(scope, prefix).rstrip("/") in _PUBLIC_POSTS


def _preflight(allowed: bool) -> Response:
    if not allowed:
        return Response(status_code=403)
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS, POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match, If-Range, Range, X-API-Key",
            "Access-Control-Max-Age": "3600",
        },
    )
