"""Parts of the service, and access to them from a request."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope

from orograph.infra.engines.protocol import Engine, Runner
from orograph.infra.service.auth import Authenticator, Principal, Scope
from orograph.infra.service.dispatcher import Dispatcher, JobPlanner, Publisher, SettingsOf
from orograph.infra.service.events import Broadcast
from orograph.infra.service.job_records import JobBook
from orograph.infra.service.limits import RateLimiter, caller_network
from orograph.infra.service.numbers import Numbers
from orograph.infra.service.orders import Orders
from orograph.infra.service.point_heights import Heights
from orograph.infra.service.preview import Previews
from orograph.infra.service.problem_documents import Problem
from orograph.infra.service.published_tiles import Published
from orograph.infra.service.readiness import Readiness
from orograph.infra.service.settings import ServiceSettings
from orograph.infra.stores.base import Store
from orograph.pipeline.job import Job


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of the service, which tests may replace.

    Attributes:
        store: Products, catalogue and job records.
        planner: Turns an order into a job; raises `SourceUnknown` for sources that orders may not name.
        settings_for: Settings of a tile; a request changes only what `overrides` lists.
        engine, runner: Run the job.
        publish: Publishes the job's result.
    """

    store: Store
    planner: JobPlanner
    settings_for: SettingsOf
    engine: Engine
    runner: Runner[Job]
    publish: Publisher


@dataclass(frozen=True, slots=True)
class Service:
    """State of a running service, shared by its routes."""

    settings: ServiceSettings
    parts: Parts
    gate: Authenticator
    book: JobBook
    broadcast: Broadcast
    dispatcher: Dispatcher
    orders: Orders
    published: Published
    previews: Previews
    heights: Heights
    reads: RateLimiter
    runs: RateLimiter
    numbers: Numbers
    readiness: Readiness


def service_of(request: Request) -> Service:
    """The service a request belongs to."""
    found: Service = request.app.state.service
    return found


def _token(request: Request) -> str | None:
    key = request.headers.get("x-api-key")
    if key:
        return key.strip()
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" and value else None


def counted_as(request: Request, principal: Principal | None) -> str:
    """Name of a caller for rate limits: the key, or the network without one."""
    if principal and principal.id.startswith("key:"):
        return principal.id
    return caller_network(request.client.host if request.client else None)


def _allowed(*scopes: Scope) -> Callable[[Request], Principal]:
    """A check that a caller has one of some scopes and is within the rate of the first."""
    scope = scopes[0]

    def check(request: Request) -> Principal:
        service = service_of(request)
        limiter = service.runs if scope == "run" else service.reads
        principal = service.gate.caller(_token(request))
        wait = limiter.wait_s(counted_as(request, principal))
        if wait:
            detail = f"the allowance of a minute is used up; try again in {wait} s"
            raise Problem(429, "Too Many Requests", detail, headers={"Retry-After": str(wait)})
        challenge = {"WWW-Authenticate": 'Bearer realm="orograph"'}
        if principal is None:
            raise Problem(401, "Unauthorized", "a valid API key is needed", headers=challenge)
        if not principal.scopes.intersection(scopes):
            if principal.id == "reader":
                raise Problem(401, "Unauthorized", "an API key with the scope 'run' is needed", headers=challenge)
            raise Problem(403, "Forbidden", f"the key does not have the scope {scope!r}")
        return principal

    return check


async def may_read(request: Request) -> Principal:
    """The caller, if reading is allowed and within its rate."""
    return _allowed("read")(request)


async def may_run(request: Request) -> Principal:
    """The caller, if ordering is allowed and within its rate."""
    return _allowed("run")(request)


async def may_dismiss(request: Request) -> Principal:
    """The caller, if ordering or operating is allowed and within its rate."""
    return _allowed("run", "admin")(request)


class Guarded:
    """A mounted application with the access rule of the service's own reading routes.

    Args:
        app: The mounted application.
        main: The application that it is mounted in.
    """

    def __init__(self, app: ASGIApp, main: FastAPI) -> None:
        self._app = app
        self._main = main

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Pass on what may be read; rejections are problems."""
        if scope["type"] == "http" and scope["method"] != "OPTIONS":
            try:
                await may_read(Request({**scope, "app": self._main}))
            except Problem as problem:
                await problem.response()(scope, receive, send)
                return
        with contextlib.suppress(ClientDisconnect):  # the client is gone
            await self._app(scope, receive, send)


Reader = Annotated[Principal, Depends(may_read)]
Dismisser = Annotated[Principal, Depends(may_dismiss)]
Orderer = Annotated[Principal, Depends(may_run)]
TheService = Annotated[Service, Depends(service_of)]
