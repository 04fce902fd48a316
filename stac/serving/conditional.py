"""HTTP semantics of JSON responses: ETag and `If-None-Match`, HEAD for every GET, gzip; plain ASGI middleware."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GZIP_FROM_BYTES: Final = 1024
_NOT_MODIFIED_KEEPS: Final = frozenset({b"cache-control", b"content-location", b"etag", b"expires", b"vary"})


def route_path(scope: Scope) -> str:
    """Path of a request below the address at which the application is mounted."""
    path, root = str(scope.get("path", "")), str(scope.get("root_path", ""))
    below = path.removeprefix(root)
    return below if not below or below.startswith("/") else path


def etag_matches(header: str, etag: str) -> bool:
    """Whether an `If-None-Match` list names an entity tag, by weak comparison (RFC 9110, 8.8.3.2)."""
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or etag.removeprefix("W/") in tags


class HeadAsGet:
    """Answers HEAD as GET without the body.

    Args:
        app: The application; its routes need to know GET only.
        except_at: Whether a path's route handles HEAD itself, or has an endless response.
    """

    def __init__(self, app: ASGIApp, except_at: Callable[[str], bool] = lambda _: False) -> None:
        self._app = app
        self._except_at = except_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; of HEAD requests only status and headers are sent."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or self._except_at(route_path(scope)):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


class EntityTags:
    """Adds a weak ETag of the content to 200 responses to GET, and handles `If-None-Match` with 304.

    Responses that have an ETag, that must not be stored or that are streamed stay unchanged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the tag."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("if-none-match", "")
        start: Message | None = None

        async def tagged(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _may_be_tagged(message):
                start = message
                return
            if start is not None and message["type"] == "http.response.body":
                first, start = start, None
                if not message.get("more_body", False):
                    first, message = _with_tag(first, message, asked)
                await send(first)
            await send(message)

        await self._app(scope, receive, tagged)


def _may_be_tagged(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return start["status"] == 200 and "etag" not in headers and "no-store" not in headers.get("cache-control", "")


def _with_tag(start: Message, body: Message, asked: str) -> tuple[Message, Message]:
    etag = f'W/"{hashlib.sha256(body.get("body", b"")).hexdigest()[:32]}"'
    headers = MutableHeaders(raw=list(start["headers"]))
    headers["ETag"] = etag
    headers.setdefault("Cache-Control", "no-cache")
    if not etag_matches(asked, etag):
        return {**start, "headers": headers.raw}, body
    kept = [(name, value) for name, value in headers.raw if name.lower() in _NOT_MODIFIED_KEEPS]
    return {**start, "status": 304, "headers": kept}, {**body, "body": b""}


class GzipExcept(GZipMiddleware):
    """Compresses responses, except below some paths, because rasters are already compressed and read by ranges."""

    def __init__(self, app: ASGIApp, except_below: Iterable[str] = ()) -> None:
        super().__init__(app, minimum_size=_GZIP_FROM_BYTES, compresslevel=5)
        self._except_below = tuple(except_below)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compress, or pass on."""
        if scope["type"] == "http" and route_path(scope).startswith(self._except_below):
            await self.app(scope, receive, send)
            return
        await super().__call__(scope, receive, send)
