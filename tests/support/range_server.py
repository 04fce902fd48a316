"""An HTTP server of a folder that answers byte ranges and counts requests and bytes."""

from __future__ import annotations

from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.http_server import RunsServer


class RangeServer(RunsServer):
    """Serves the files of a folder by their names.

    Attributes:
        counts: Requests by method, and `bytes` of bodies.
    """

    def __init__(self, folder: Path) -> None:
        self.counts: Counter[str] = Counter()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                path = folder / self.path.lstrip("/")
                outer.counts[self.command] += 1
                if not path.is_file():
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                size = path.stat().st_size
                start, end = 0, size
                asked = self.headers.get("Range")
                if asked:
                    first, _, last = asked.removeprefix("bytes=").partition("-")
                    start, end = int(first), min(int(last) + 1 if last else size, size)
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(end - start))
                self.send_header("Content-Type", "image/tiff")
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}-{size:x}"')
                if asked:
                    self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
                self.end_headers()
                if self.command == "GET":
                    self._send(path, start, end)

            def _send(self, path: Path, start: int, end: int) -> None:
                with path.open("rb") as file:
                    file.seek(start)
                    while start < end:
                        data = file.read(min(2**20, end - start))
                        self.wfile.write(data)
                        start += len(data)
                        outer.counts["bytes"] += len(data)

            do_GET = do_HEAD = _answer  # noqa: N815 - names of the base class

            def log_message(self, *_: object) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def taken(self) -> tuple[int, int]:
        """GET requests and bytes since the last call."""
        found = self.counts["GET"], self.counts["bytes"]
        self.counts.clear()
        return found
