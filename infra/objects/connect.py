"""The client of an href: one per protocol, settings and process, so that connections are kept."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import Any

from orograph.infra.objects.client import ObjectClient, Settings, protocol_of
from orograph.infra.objects.http import HttpObjects
from orograph.infra.objects.other import FsspecObjects
from orograph.infra.objects.s3 import S3Objects


@dataclass(slots=True)
class _Clients:
    lock: Any = field(default_factory=threading.Lock)
    process: int = 0
    known: dict[tuple[str, Settings], ObjectClient] = field(default_factory=dict)


_clients = _Clients()


def client_of(href: str, settings: Settings) -> ObjectClient:
    """The client of an href: one per protocol, settings and process, so that connections are kept.

    Raises:
        InputError: fsspec does not know the protocol.
        ConfigError: the protocol's package is not installed.
    """
    protocol = protocol_of(href)
    kind = {"s3a": "s3", "https": "http"}.get(protocol, protocol)
    with _clients.lock:
        if _clients.process != os.getpid():  # connections do not survive a fork
            _clients.process, _clients.known = os.getpid(), {}
        key = (kind, settings)
        if key not in _clients.known:
            _clients.known[key] = _made(kind, settings)
        return _clients.known[key]


def _made(kind: str, settings: Settings) -> ObjectClient:
    if kind == "s3":
        return S3Objects(settings)
    if kind == "http":
        return HttpObjects(settings)
    return FsspecObjects(kind, settings)
