"""The published files over HTTP: ranges, ETags, and nothing of the service's own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse

from infra.service.context import Reader, Service, TheService
from infra.service.problems import Problem
from infra.store import ObjectInfo, Store

router = APIRouter(tags=["files"])

PUBLIC: Final = ("stac/", "tiles/", "cells/")
"""What of the store is served; job records and leases are not."""

_KEY: Final = re.compile(
    r"(?:[A-Za-z0-9_@+=~-][A-Za-z0-9_@+=~.-]{0,199}/){1,12}[A-Za-z0-9_@+=~-][A-Za-z0-9_@+=~.-]{0,199}", re.ASCII
)
_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
_CHUNK: Final = 2**20
_TYPES: Final = {
    "json": "application/json",
    "geojson": "application/geo+json",
    "tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    "png": "image/png",
    "parquet": "application/vnd.apache.parquet",
    "pmtiles": "application/vnd.pmtiles",
    "fgb": "application/vnd.flatgeobuf",
    "gpkg": "application/geopackage+sqlite3",
    "zip": "application/zip",
    "txt": "text/plain; charset=utf-8",
    "md": "text/markdown; charset=utf-8",
}


@router.api_route("/files/{key:path}", methods=["GET", "HEAD"], summary="A published file", response_class=Response)
async def published_file(
    key: str,
    request: Request,
    service: TheService,
    _caller: Reader,
    range_: Annotated[str | None, Header(alias="range", max_length=100)] = None,
    if_none_match: Annotated[str | None, Header(max_length=2000)] = None,
    if_range: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """A file of the catalogue or of a tile, whole or in part; single ranges only."""
    if not _KEY.fullmatch(key) or ".." in key or not key.startswith(PUBLIC):
        raise Problem(404, "Not Found", "no such file")
    info = await asyncio.to_thread(service.parts.store.head, key)
    if info is None:
        raise Problem(404, "Not Found", "no such file")
    headers = _headers(key, info)
    if if_none_match and _matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    start, end = 0, info.size_bytes
    status = 200
    if range_ and (if_range is None or if_range == headers["ETag"]):
        span = _span(range_, info.size_bytes)
        if span is not None:
            start, end = span
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.size_bytes}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return await _answer(service, key, start, end, status, headers)


async def _answer(service: Service, key: str, start: int, end: int, status: int, headers: dict[str, str]) -> Response:
    store = service.parts.store
    if end - start <= _CHUNK:
        body = await asyncio.to_thread(store.get, key, start=start, end=end) if end > start else b""
        return Response(body, status_code=status, headers=headers)
    return StreamingResponse(_chunks(store, key, start, end), status_code=status, headers=headers)


async def _chunks(store: Store, key: str, start: int, end: int) -> AsyncIterator[bytes]:
    for at in range(start, end, _CHUNK):
        yield await asyncio.to_thread(store.get, key, start=at, end=min(at + _CHUNK, end))


def _headers(key: str, info: ObjectInfo) -> dict[str, str]:
    name = key.rsplit("/", 1)[-1]
    media_type = _TYPES.get(name.rsplit(".", 1)[-1].lower(), "application/octet-stream")
    if key.startswith("stac/") and name.startswith(("E", "N", "S")) and name.endswith(".json"):
        media_type = "application/geo+json"
    lasting = key.startswith(("tiles/", "cells/"))
    tag = info.etag.strip('"')
    return {
        "Content-Type": media_type,
        "ETag": f'"{tag}"',
        "Accept-Ranges": "bytes",
        # Keys of runs are never rewritten; the catalogue's are.
        "Cache-Control": "public, max-age=31536000, immutable" if lasting else "no-cache",
        # Nothing of a store is ever a page: no script in a published file may run here.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }


def _matches(given: str, etag: str) -> bool:
    return given.strip() == "*" or etag in {part.strip().removeprefix("W/") for part in given.split(",")}


def _span(text: str, size: int) -> tuple[int, int] | None:
    """Start and end of a range; None for a form that is to be ignored.

    Raises:
        Problem: 416 when the range lies outside the file.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        length = min(int(match[2]), size)
        start, end = size - length, size
    else:
        start = int(match[1])
        end = min(int(match[2]) + 1, size) if match[2] else size
    if start >= size or end <= start:
        raise Problem(416, "Range Not Satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return start, end
