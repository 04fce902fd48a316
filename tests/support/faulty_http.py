"""A small HTTP server that answers rightly, or as badly as it is told to."""

from __future__ import annotations

import hashlib
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.http_server import RunsServer


class FaultyServer(RunsServer):
    """Serves objects by name; each GET takes one fault from the list, if there is any."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str | None]] = {}
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.posted: list[bytes] = []
        self.head_faults: list[str] = []
        self.ranges = True
        self.retry_after = "0"
        self.bytes_sent = 0
        outer = self

        class Handler(_Handler):
            server_state = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, name: str, data: bytes, etag: str | None = "") -> str:
        """Offer an object; its href."""
        self.objects[name] = (data, hashlib.sha1(data, usedforsecurity=False).hexdigest() if etag == "" else etag)
        return f"{self.url}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server_state: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_HEAD(self) -> None:
        faults = self.server_state.head_faults
        fault = faults.pop(0) if faults else ""
        if fault.isdigit():
            self._refuse(int(fault))
        else:
            self._answer(body=False)

    def do_POST(self) -> None:
        self.server_state.posted.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self._answer(body=True)

    def do_GET(self) -> None:
        faults = self.server_state.faults
        fault = faults.pop(0) if faults else ""
        self.server_state.requests.append(self.path)
        if fault.isdigit():
            self._refuse(int(fault))
        elif fault == "hang":
            time.sleep(3)
            self.close_connection = True
        elif fault == "drop":
            self.close_connection = True
        elif fault in {"whole", "short", "shifted", "etag"}:
            self._answer(body=True, fault=fault)
        elif fault == "html":
            self._send(200, b"<html>maintenance</html>", {"Content-Type": "text/html"})
        else:
            self._answer(body=True, truncate=fault == "truncate")
            if fault == "swap":
                name = self.path.lstrip("/")
                self.server_state.serve(name, self.server_state.objects[name][0] + b"!")

    def _answer(self, *, body: bool, truncate: bool = False, fault: str = "") -> None:
        name = self.path.lstrip("/")
        found = self.server_state.objects.get(name) or self.server_state.objects.get(name.partition("?")[0])
        if found is None:
            self._refuse(404)
            return
        data, etag = found
        wanted = self.headers.get("If-Match")
        if wanted and etag and wanted.strip('"') != etag:
            self._refuse(412)
            return
        kind = "application/json" if data[:1] == b"{" else "image/tiff"
        headers = {"Content-Type": kind} | ({"ETag": f'"{etag}"'} if etag else {})
        if fault == "etag":
            headers["ETag"] = '"another"'
        asked = self.headers.get("Range")
        if asked is None or not self.server_state.ranges or fault == "whole" or not body:
            self._send(200, data, headers, body=body, sent=len(data) // 2 if truncate else None)
            return
        first, last = (int(part) for part in asked.removeprefix("bytes=").split("-"))
        end = min(last + 1, len(data))
        if first >= len(data):
            self._refuse(416)
            return
        if fault == "short":
            end -= 1
        shift = 1 if fault == "shifted" else 0
        headers["Content-Range"] = f"bytes {first + shift}-{end - 1 + shift}/{len(data)}"
        self._send(206, data[first:end], headers, sent=(end - first) // 2 if truncate else None)

    def _refuse(self, status: int) -> None:
        headers = {"Retry-After": self.server_state.retry_after, "Location": "http://169.254.169.254/"}
        self._send(status, b"no", headers, body=self.command != "HEAD")

    def _send(
        self, status: int, data: bytes, headers: dict[str, str], *, body: bool = True, sent: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.server_state.bytes_sent += len(data[:sent])
            self.wfile.write(data[:sent])
        if sent is not None:
            self.close_connection = True
