"""The ASGI application: plain FastAPI, so that uvicorn on a laptop and Ray Serve on a cluster run the same."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi import Depends, FastAPI, Request
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import RedirectResponse

from orograph.infra.reporting.redaction import RedactingFilter
from orograph.infra.service import estimates, jobs, map_links, maps, operations, processes
from orograph.infra.service import problem_documents as problems
from orograph.infra.service.addresses import PublicAddress
from orograph.infra.service.auth import Authenticator, KeyRing, verifier_from
from orograph.infra.service.dispatcher import Dispatcher, Machinery
from orograph.infra.service.events import Broadcast
from orograph.infra.service.headers import PublicReading, SafeHeaders
from orograph.infra.service.job_records import JobBook, JobRecord
from orograph.infra.service.limits import RateLimiter, SizeLimits
from orograph.infra.service.numbers import CountedRequests, Numbers
from orograph.infra.service.orders import Orders
from orograph.infra.service.page_files import CompressedFiles
from orograph.infra.service.point_heights import Heights
from orograph.infra.service.preview import Previews
from orograph.infra.service.published_tiles import Published, PublishedTile
from orograph.infra.service.readiness import Readiness
from orograph.infra.service.service import Guarded, Parts, Service, may_read
from orograph.infra.service.settings import ServiceSettings
from orograph.infra.service.static import FOLDER
from orograph.pipeline.version import __version__
from orograph.stac.serving.api import search_app
from orograph.stac.serving.conditional import HeadAsGet
from orograph.stac.serving.file_routes import files_router
from orograph.stac.serving.openapi30 import as_openapi30

_log = logging.getLogger("orograph")


def create_app(settings: ServiceSettings, parts: Parts | None = None) -> FastAPI:
    """The service as an ASGI application.

    Args:
        settings: Settings of the service.
        parts: Store, engine, planner and so on; built from environment variables when None.

    Raises:
        ConfigError, SourceUnknown: a setting cannot be applied.
    """
    if parts is None:
        from orograph.infra.service.assemble import parts_for
        from orograph.pipeline.settings import RunSettings

        parts = parts_for(settings, RunSettings.with_flags())
    service = _assembled(settings, parts)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        service.dispatcher.start()
        yield
        await asyncio.to_thread(service.dispatcher.stop)
        service.previews.close()

    app = FastAPI(
        title="Orograph",
        version=__version__,
        description="European terrain by tiles: published products, map tiles, and orders to make a tile again.",
        lifespan=lifespan,
        docs_url=None,  # the interactive pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,  # no answer sends a caller to an address made of what they sent
    )
    app.state.service = service
    _describe_as_openapi30(app)
    problems.install(app)
    for router in (processes.router, estimates.router, jobs.router, map_links.router, maps.router, operations.router):
        app.include_router(router)
    app.include_router(files_router(parts.store), prefix="/files", dependencies=[Depends(may_read)])
    app.add_api_route("/stac", _to_search, include_in_schema=False)
    app.mount("/stac", Guarded(search_app(parts.store, maps_path="../map"), app))
    app.mount("/static", CompressedFiles(directory=FOLDER), name="static")
    _add_middleware(app, settings)
    app.add_middleware(CountedRequests, numbers=service.numbers)
    _redact_logs()
    return app


async def _to_search(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{request.scope.get('root_path', '')}/stac/")


def _assembled(settings: ServiceSettings, parts: Parts) -> Service:
    broadcast = Broadcast(settings.event_streams, settings.event_streams_per_caller)
    published = Published(parts.store)

    def on_change(record: JobRecord) -> None:
        if record.status.is_final:
            published.expire()
        broadcast.publish(record)

    book = JobBook(parts.store, on_change, timedelta(days=settings.retention_days))
    machinery = Machinery(parts.engine, parts.runner, parts.planner, parts.publish, parts.settings_for)
    dispatcher = Dispatcher(
        book,
        parts.store,
        machinery,
        workers=settings.workers,
        limit=settings.queue_limit,
        lease_s=settings.lease_s,
    )
    orders = Orders(settings, parts.settings_for, parts.planner, book, dispatcher, published)
    previews = Previews(
        parts.store,
        published,
        lambda tile, source: _raw_files(published, tile, source),
        threads=settings.preview_threads,
        queue_limit=settings.preview_queue,
        cache_mb=settings.preview_cache_mb,
    )
    return Service(
        settings=settings,
        parts=parts,
        gate=Authenticator(settings.who, KeyRing(settings.keys_file), verifier_from(settings.oidc_verifier)),
        book=book,
        broadcast=broadcast,
        dispatcher=dispatcher,
        orders=orders,
        published=published,
        previews=previews,
        heights=Heights(parts.store, published, previews.other_paths),
        reads=RateLimiter(settings.reads_per_minute),
        runs=RateLimiter(settings.orders_per_minute),
        numbers=Numbers(),
        readiness=Readiness(parts.store),
    )


def _raw_files(published: Published, tile: PublishedTile, source: str) -> tuple[str, ...]:
    """GDAL paths of the files a tile was made of by a source; no other path is ever opened."""
    for ref in published.sources(tile):
        if ref.source.id == source:
            return tuple(_gdal_href(file.href) for file in ref.files)
    raise KeyError(source)


def _gdal_href(href: str) -> str:
    if href.startswith("s3://"):
        return "/vsis3/" + href.removeprefix("s3://")
    if href.startswith(("http://", "https://")):
        return "/vsicurl/" + href
    return href.removeprefix("file://")


def _describe_as_openapi30(app: FastAPI) -> None:
    described = app.openapi
    app.openapi = lambda: as_openapi30(described())  # type: ignore[method-assign]  # FastAPI's documented hook


def _answers_head(path: str) -> bool:
    """Files have routes for HEAD; a stream of events ends only with its job."""
    return path.startswith(("/files/", "/static/")) or path.endswith("/events")


def _add_middleware(app: FastAPI, settings: ServiceSettings) -> None:
    """Outermost last: headers on every answer, then the host, then sizes."""
    prefix = settings.public.prefix
    app.add_middleware(HeadAsGet, except_at=_answers_head)
    app.add_middleware(PublicAddress, url=settings.public)
    app.add_middleware(SizeLimits, max_body_bytes=settings.max_body_bytes, max_url_bytes=settings.max_url_bytes)
    if settings.hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.hosts), www_redirect=False)
    app.add_middleware(PublicReading, prefix=prefix)
    app.add_middleware(SafeHeaders, prefix=prefix, hosts=settings.page_hosts)


def _redact_logs() -> None:
    """Put the redacting filter on every handler there is, uvicorn's among them."""
    names = ("", "orograph", "uvicorn", "uvicorn.access", "uvicorn.error", "ray.serve")
    for handler in {handler for name in names for handler in logging.getLogger(name).handlers}:
        if not any(isinstance(found, RedactingFilter) for found in handler.filters):
            handler.addFilter(RedactingFilter())
