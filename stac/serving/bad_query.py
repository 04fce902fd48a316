"""The error of every malformed search."""

from __future__ import annotations

from orograph.pipeline.errors import UsageError


class BadQuery(UsageError):
    """An invalid search; the message names the parameter."""
