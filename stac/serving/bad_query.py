"""The error of every malformed search."""

from __future__ import annotations

from orograph.pipeline.errors import UsageError


class BadQuery(UsageError):
    """A search that makes no sense; the message says which parameter."""
