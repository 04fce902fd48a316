"""Objects of a store over HTTP: ranges, ETags and the CORS headers that browsers need to read COGs.

Serves published files only: the catalogue and the products, never job records or other contents of the store.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from orograph.pipeline.core.objects import ObjectInfo, ObjectStore
from orograph.pipeline.errors import BadIdentifier
from orograph.stac.documents.json import ITEM_TYPE, PARQUET_TYPE
from orograph.stac.serving.conditional import etag_matches

SERVED_PREFIXES: Final = ("stac/", "tiles/", "cells/")
_HIDDEN_PREFIXES: Final = ("stac/pending/",)
_CHUNK: Final = 1 << 20
_RANGE: Final = re.compile(r"bytes=(?=-?\d)(\d*)-(\d*)", re.ASCII)
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_CHANGING: Final = "no-cache"

CORS_EXPOSED: Final = ("Accept-Ranges", "Content-Encoding", "Content-Length", "Content-Range", "ETag")
"""Response headers a browser lets scripts of other origins see; without Content-Range no client reads COGs."""


def files_router(store: ObjectStore) -> APIRouter:
    """`GET` and `HEAD /{key}` with single ranges, conditional requests and 404 for keys that are not published."""
    router = APIRouter()

    def serve(key: str, request: Request) -> Response:
        if not _is_served(key):
            return Response(status_code=404)
        try:
            info = store.head(key)
            return Response(status_code=404) if info is None else _answer(store, info, request)
        except (BadIdentifier, KeyError):
            return Response(status_code=404)

    router.add_api_route("/{key:path}", serve, methods=["GET", "HEAD"], include_in_schema=False)
    return router


def media_type_of(key: str) -> str:
    """Media type by suffix of the key; STAC items are GeoJSON."""
    name = key.rsplit("/", 1)[-1]
    if name.endswith(".parquet"):
        return PARQUET_TYPE
    if name.endswith((".tif", ".tiff")):
        return "image/tiff; application=geotiff; profile=cloud-optimized"
    if name.endswith(".json") and not name.startswith(("catalog", "collection", "manifest", "schema")):
        return ITEM_TYPE
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _is_served(key: str) -> bool:
    parts = key.split("/")
    return (
        key.startswith(SERVED_PREFIXES)
        and not key.startswith(_HIDDEN_PREFIXES)
        and not any(part in {"", ".", ".."} for part in parts)
        and "\\" not in key
        and "\0" not in key
    )


def _answer(store: ObjectStore, info: ObjectInfo, request: Request) -> Response:
    etag = f'"{info.etag.strip(chr(34))}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": _CHANGING if info.key.startswith("stac/") else _IMMUTABLE,
        "X-Content-Type-Options": "nosniff",
    }
    asked = request.headers
    if "if-match" in asked and not _is_listed(asked["if-match"], etag):
        return Response(status_code=412, headers=headers)
    if etag_matches(asked.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    # A part of another version is of no use to a client that continues a download.
    wanted = _RANGE.fullmatch(asked.get("range", "")) if asked.get("if-range", etag) == etag else None
    span = (0, info.size_bytes) if wanted is None else _span(wanted[1], wanted[2], info.size_bytes)
    if span is None:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{info.size_bytes}"})
    start, end = span
    status = 200
    if wanted is not None:
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.size_bytes}"
    headers["Content-Length"] = str(end - start)
    media_type = media_type_of(info.key)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    if end - start <= _CHUNK:
        return Response(store.get(info.key, start=start, end=end), status, headers, media_type)
    return StreamingResponse(_pieces(store, info.key, start, end), status, headers, media_type)


def _is_listed(header: str, etag: str) -> bool:
    """Whether an `If-Match` list names an entity tag, by strong comparison (RFC 9110, 8.8.3.2)."""
    tags = {tag.strip() for tag in header.split(",")}
    return "*" in tags or etag in tags


def _pieces(store: ObjectStore, key: str, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, _CHUNK):
        yield store.get(key, start=at, end=min(at + _CHUNK, end))


def _span(first: str, last: str, size: int) -> tuple[int, int] | None:
    """First byte of a range and the one after the last; None where no byte is in it."""
    if not first:
        length = min(int(last), size)
        return (size - length, size) if length else None
    start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < end else None
