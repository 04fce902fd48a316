"""Rules of servers for automated transfers: robots.txt by RFC 9309, with its crawl delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from orograph.infra.stores.http_client import AGENT
from orograph.pipeline.errors import SourceInaccessible, SourceMissing

Read = Callable[[str], bytes]
_MOST_BYTES: Final = 512 * 2**10
"""RFC 9309 requires that at least 500 KiB are parsed."""


@dataclass(slots=True)
class Robots:
    """Rules of each HTTP server, read once.

    Args:
        read: Reads documents.
    """

    read: Read
    _rules: dict[str, RobotFileParser | None] = field(default_factory=dict)

    def check(self, href: str) -> None:
        """Return if a server permits automated access to a URL; other protocols have no such rules.

        Raises:
            SourceInaccessible: its robots.txt forbids it.
            SourceUnavailable: robots.txt cannot be read at present.
        """
        rules = self._of(href)
        if rules is not None and not rules.can_fetch(AGENT, href):
            raise SourceInaccessible(
                f"robots.txt of {urlsplit(href).netloc} forbids automated access",
                source=href,
                remedy="ask the provider; with its permission, give --no-robots",
            )

    def delay_s(self, href: str) -> float:
        """Crawl delay that a server requests, seconds; 0 if it states none."""
        rules = self._of(href)
        delay = None if rules is None else rules.crawl_delay(AGENT)
        return 0.0 if delay is None else float(delay)

    def _of(self, href: str) -> RobotFileParser | None:
        place = urlsplit(href.rpartition("::")[2])
        if place.scheme not in {"http", "https"}:
            return None
        host = f"{place.scheme}://{place.netloc}"
        if host not in self._rules:
            self._rules[host] = self._parsed(f"{host}/robots.txt")
        return self._rules[host]

    def _parsed(self, href: str) -> RobotFileParser | None:
        """Rules of a file; None if there is none, which permits everything."""
        try:
            text = self.read(href)[:_MOST_BYTES].decode("utf-8", "replace")
        except SourceMissing:
            return None
        parser = RobotFileParser()
        parser.parse(text.splitlines())
        return parser
