"""A proxy before a real S3 server that spoils the n-th request or its answer; signatures stay valid."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.support.http_server import RunsServer

FAULTS = ("500", "503", "429", "409", "lost", "refused", "truncated", "hang")


@dataclass
class FaultyProxy(RunsServer):
    """Forwards requests, counts them, and does `fault` at the `at`-th (from 1).

    Faults: a status answered without forwarding; `lost`: forwarded, but the reply is dropped; `refused`: dropped
    before it is forwarded; `truncated`: half of the reply's body; `hang`: no reply for longer than clients wait.
    """

    target_url: str
    at: int = 0
    fault: str = "lost"
    count: int = 0
    fired: int = 0
    only: str = ""
    lock: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        outer = self

        class Handler(_Handler):
            proxy = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def next_fault(self, method: str) -> str:
        with self.lock:
            if self.only and method != self.only:
                return ""
            self.count += 1
            if self.count != self.at:
                return ""
            self.fired += 1
            return self.fault


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultyProxy
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def _handle(self) -> None:
        fault = self.proxy.next_fault(self.command)
        body = self._body()
        if fault == "hang":
            time.sleep(2.0)
        if fault in {"hang", "refused"}:
            self.close_connection = True
            return
        if fault.isdigit():
            self._answer(int(fault), [("Retry-After", "0")], b"<Error><Code>SlowDown</Code></Error>", len(body))
            return
        status, headers, data = self._forward(body)
        if fault == "lost":
            self.close_connection = True
            return
        if fault == "truncated":
            if len(data) < 2:
                self.close_connection = True
                return
            self._answer(status, headers, data, 0, sent=len(data) // 2)
            self.close_connection = True
            return
        self._answer(status, headers, data, 0)

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        target = urlsplit(self.proxy.target_url)
        connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "expect"}:
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, answer.getheaders(), data
        finally:
            connection.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], data: bytes, _read: int, sent: int | None = None
    ) -> None:
        self.send_response_only(status)
        length = str(len(data))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value
            elif name.lower() not in {"transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:sent])


for _method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._handle)
