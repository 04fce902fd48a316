"""The address under which clients see the service: behind proxies, below a path, with TLS ended elsewhere.

A proxy that passes `Host` and `X-Forwarded-Proto` on and serves the whole host needs none of this. One that serves the
service below a path, or changes the host, is described by one setting, the public URL; links then do not depend on
headers of a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from orograph.pipeline.errors import ConfigError
from orograph.stac.serving.conditional import route_path


@dataclass(frozen=True, slots=True)
class PublicUrl:
    """Parts of the public URL; all are empty if no public URL is set.

    Attributes:
        scheme: `http` or `https`.
        host: Host and port.
        prefix: Path below which the service is found, without a slash at its end.
    """

    scheme: str = ""
    host: str = ""
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> PublicUrl:
        """Split a URL; an empty text gives empty parts.

        Raises:
            ConfigError: it is not an absolute http or https URL, or has a query.
        """
        if not text:
            return cls()
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
            raise ConfigError(
                f"public_url {text!r} is not the address of a service",
                remedy="give it as https://HOST or https://HOST/PATH",
            )
        return cls(parts.scheme, parts.netloc, parts.path.rstrip("/"))

    @property
    def host_name(self) -> str:
        """Host without the port."""
        return urlsplit(f"//{self.host}").hostname or ""


def path_below(scope: Scope, prefix: str) -> str:
    """Return a request's path without the public prefix, whether or not a proxy stripped it already."""
    path = route_path(scope)
    return path.removeprefix(prefix) if prefix and f"{path}/".startswith(f"{prefix}/") else path


class PublicAddress:
    """Gives requests the scheme, host and root path of the public URL, so that every link starts with it."""

    def __init__(self, app: ASGIApp, *, url: PublicUrl) -> None:
        self._app = app
        self._url = url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, readdressed."""
        if scope["type"] != "http" or not self._url.host:
            await self._app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
        await self._app(
            {
                **scope,
                "scheme": self._url.scheme,
                "headers": [(b"host", self._url.host.encode("ascii", "ignore")), *headers],
                "root_path": self._url.prefix,
                "path": self._url.prefix + path_below(scope, self._url.prefix),
            },
            receive,
            send,
        )
