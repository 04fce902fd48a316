"""Logs of the service: one redacted line per event, to standard error."""

from __future__ import annotations

import logging
import sys

from orograph.infra.reporting.redaction import RedactingFilter


def configure_logs(level: int = logging.INFO) -> None:
    """Send the service's and uvicorn's logs to standard error through the redacting filter.

    The service writes no access log: URLs contain query strings, and a proxy in front can keep one.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(RedactingFilter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for name in ("orograph", "uvicorn"):
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
