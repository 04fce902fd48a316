"""RFC 9457 problem documents for errors, without stack traces, local paths or secrets."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from orograph.infra.reporting.redaction import redacted
from orograph.pipeline import errors

PROBLEM_TYPE: Final = "application/problem+json"
OGC_EXCEPTIONS: Final = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/"
NO_SUCH_JOB: Final = OGC_EXCEPTIONS + "no-such-job"
NO_SUCH_PROCESS: Final = OGC_EXCEPTIONS + "no-such-process"
RESULT_NOT_READY: Final = OGC_EXCEPTIONS + "result-not-ready"

_log = logging.getLogger("orograph.service")

# The first class that matches wins, so the tree is listed from its leaves.
_STATUS: Final[tuple[tuple[type[errors.OrographError], int], ...]] = (
    (errors.UsageError, 422),
    (errors.SourceMissing, 424),
    (errors.InputError, 422),
    (errors.StoreUnavailable, 503),
    (errors.TransientError, 503),
    (errors.ResourcesMissing, 503),
    (errors.MemoryBudgetExceeded, 422),
)


class Problem(Exception):
    """A rejected request and the content of its response.

    Args:
        status: HTTP status.
        title: The kind of problem, the same for every occurrence.
        detail: Description of this occurrence.
        kind: URI of the kind; `about:blank` if the status is sufficient.
        headers: Additional headers, such as `Retry-After`.
        **members: Additional members of the problem document.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        kind: str = "about:blank",
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})
        self.members = members

    def response(self, instance: str = "") -> Response:
        """The HTTP response."""
        document: dict[str, Any] = {"type": self.kind, "title": self.title, "status": self.status}
        if self.detail:
            document["detail"] = redacted(self.detail)
        if instance:
            document["instance"] = instance[:200]
        document.update(self.members)
        headers = {"Cache-Control": "no-store", **self.headers}
        return Response(orjson.dumps(document), status_code=self.status, media_type=PROBLEM_TYPE, headers=headers)


def busy(detail: str, seconds: int, status: int = 503) -> Problem:
    """Problem for a limit of the service or caller that is reached; asks to retry after `seconds`."""
    title = "Too Many Requests" if status == 429 else "Service Busy"
    return Problem(status, title, detail, headers={"Retry-After": str(max(1, seconds))})


def from_error(error: errors.OrographError, status: int | None = None) -> Problem:
    """Convert an error to a problem document; details for the operator are left out."""
    code = status or next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    members: dict[str, Any] = {"error": type(error).__name__, "retryable": error.retryable}
    members.update({name: getattr(error, name) for name in ("tile", "stage") if getattr(error, name)})
    if code < 500 and error.remedy:
        members["remedy"] = redacted(error.remedy)
    headers = {"Retry-After": "10"} if code == 503 else {}
    kind = f"urn:orograph:problem:{type(error).__name__}"
    return Problem(code, _words(type(error).__name__), error.message, kind=kind, headers=headers, **members)


def install(app: FastAPI) -> None:
    """Register handlers that turn every error of the application into a problem document."""

    async def problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)  # noqa: S101 - the handler is registered for this class alone
        return error.response(_instance(request))

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.OrographError)  # noqa: S101 - as above
        return from_error(error).response(_instance(request))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        faults = [
            {"where": "/".join(str(part)[:60] for part in fault["loc"]), "message": str(fault["msg"])[:200]}
            for fault in error.errors()[:10]
        ]
        detail = "; ".join(f"{fault['where']}: {fault['message']}" for fault in faults[:3])
        if all(fault["where"].startswith("query/") for fault in faults):
            return Problem(400, "Invalid Parameter", detail, errors=faults).response(_instance(request))
        return Problem(422, "Unprocessable Request", detail, errors=faults).response(_instance(request))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as above
        detail = str(error.detail)
        headers = dict(error.headers or {})
        return Problem(error.status_code, detail[:80], headers=headers).response(_instance(request))

    async def unexpected(request: Request, error: Exception) -> Response:
        _log.error("unexpected %s: %s", type(error).__name__, redacted(str(error)))
        return Problem(500, "Internal Error", "see the service's log for details").response(_instance(request))

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(errors.OrographError, known)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)


def _instance(request: Request) -> str:
    return request.scope.get("path", "")


def _words(name: str) -> str:
    return "".join(f" {char.lower()}" if char.isupper() and i else char for i, char in enumerate(name))
