"""Removes secrets from logs, problem documents and job records."""

from __future__ import annotations

import logging
import os
import re
from typing import Final

HIDDEN: Final = "[redacted]"

_PATTERNS: Final = (
    # Our own API keys.
    (re.compile(r"\boro_[0-9a-f]{8}_[A-Za-z0-9_-]{8,}"), HIDDEN),
    # JSON web tokens.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), HIDDEN),
    # Signatures and credentials in query strings of presigned URLs (AWS, Azure, Google), and query parameters called keys.
    (
        re.compile(
            r"(?i)((?:x-amz-(?:signature|credential|security-token)|sig|signature|x-goog-signature)=)[^&\s\"']+"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)(?<=[?&;])((?:awsaccesskeyid|key)=)[^&\s'\"<>]+"), rf"\1{HIDDEN}"),
    # name=value, name: value and "name": "value" of whatever is called a secret.
    (
        re.compile(
            r"(?i)([\"']?[a-z0-9_.-]*(?:secret|password|passwd|token|api[_-]?key|access[_-]?key)[a-z0-9_.-]*[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"',;}&]+"
        ),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(r"(?i)(authorization[\"']?\s*[=:]\s*[\"']?(?:bearer|basic|aws4-hmac-sha256)?\s*)[^\s\"']+"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer)\s+[a-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    # Name and password of an address.
    (re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"), HIDDEN),
    # AWS access key ids.
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), HIDDEN),
)
_VARIABLES: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "RAY_AUTH_TOKEN")
"""Environment variables whose values are hidden wherever they occur."""


def redacted(text: str) -> str:
    """Remove secrets from a text: everything that looks like one, and the values of this process's own secrets."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    for name in _VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= 8:
            text = text.replace(value, HIDDEN)
    return text


class RedactingFilter(logging.Filter):
    """Logging filter that redacts the final message and traceback of every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record in place; every record passes."""
        record.msg = redacted(record.getMessage())
        record.args = ()
        if record.exc_info and not record.exc_text:
            record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
        elif record.exc_text:
            record.exc_text = redacted(record.exc_text)
        return True
