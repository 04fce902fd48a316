"""A store that fails on request: the n-th operation, before or after it took effect, or by killing the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orograph.pipeline.errors import DiskFull, StoreUnavailable


class Killed(BaseException):
    """Stands for SIGKILL where a real one would end the tests: nothing may catch it."""


@dataclass
class FaultyStore:
    """Passes operations on, counts them, and does `fault` at the `at`-th of those of the given kinds (from 1).

    Faults: `before` the store does not answer and nothing happened; `after` it happened but the reply is lost;
    `kill-before`, `kill-after` the process dies then; `full` the disk is full; `flip` the `bit`-th bit is wrong on its way.
    """

    inner: Any
    at: int = 0
    fault: str = "before"
    lasting: bool = False
    bit: int = 0
    count: int = 0
    fired: int = 0
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.inner.url

    def head(self, key: str) -> Any:
        return self._do("head", key, lambda: self.inner.head(key))

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        return self._do("get", key, lambda: self.inner.get(key, start=start, end=end))

    def download(self, key: str, path: Path) -> Any:
        return self._do("download", key, lambda: self.inner.download(key, path))

    def put(self, key: str, data: bytes | Path, **options: Any) -> Any:
        if self._due() and self.fault == "flip":
            raw = bytearray(data if isinstance(data, bytes) else data.read_bytes())
            if raw:
                raw[self.bit // 8 % len(raw)] ^= 1 << self.bit % 8
            data = bytes(raw)
        return self._do("put", key, lambda: self.inner.put(key, data, **options))

    def delete(self, key: str) -> None:
        return self._do("delete", key, lambda: self.inner.delete(key))

    def list(self, prefix: str = "") -> Iterator[Any]:
        return self._do("list", prefix, lambda: self.inner.list(prefix))

    def _due(self) -> bool:
        return self.count + 1 == self.at or (self.lasting and 0 < self.at <= self.count + 1)

    def _do(self, verb: str, key: str, act: Callable[[], Any]) -> Any:
        due = self._due()
        self.count += 1
        self.log.append(f"{verb} {key}")
        if not due:
            return act()
        self.fired += 1
        if self.fault == "before":
            raise StoreUnavailable(f"{verb} {key}: 503")
        if self.fault == "full" and verb == "put":
            raise DiskFull(f"{verb} {key}: no space left")
        if self.fault == "kill-before":
            raise Killed
        try:
            answer = act()
        except Exception:
            if self.fault == "kill-after":
                raise Killed from None
            raise
        if self.fault == "flip" and verb == "get" and answer:
            return answer[:-1] + bytes([answer[-1] ^ 1])
        if self.fault == "after":
            raise StoreUnavailable(f"{verb} {key}: the reply was lost")
        if self.fault == "kill-after":
            raise Killed
        return answer
