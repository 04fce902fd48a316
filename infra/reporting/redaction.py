"""Removes secrets from logs, problem documents and job records."""

from __future__ import annotations

import logging
import re
from typing import Final

HIDDEN: Final = "[redacted]"

_PATTERNS: Final = (
    # Our own API keys.
    re.compile(r"\boro_[0-9a-f]{8}_[A-Za-z0-9_-]{8,}"),
    # Authorization: Bearer ..., X-API-Key: ...
    re.compile(
        r"(?i)(?<=authorization)(['\"]?\s*[:=]\s*['\"]?)(?:bearer|basic|aws4-hmac-sha256)?\s*[^\s'\",;]+[^'\"\n]*"
    ),
    re.compile(r"(?i)(?<=x-api-key)(['\"]?\s*[:=]\s*['\"]?)[^\s'\",;]+"),
    re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{8,}"),
    # JSON web tokens.
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    # Presigned URLs and query secrets: the value up to the next separator.
    re.compile(
        r"(?i)(?<=[?&;])(?:x-amz-(?:signature|credential|security-token)|signature|sig|token|api_?key|key|awsaccesskeyid|secret|password)=[^&\s'\"<>]+"
    ),
    # Names that say what they hold, in settings, environments and connection strings.
    re.compile(
        r"(?i)\b[a-z_.-]*(?:secret|password|passwd|access_?key(?:_id)?|session_?token|api_?key)['\"]?\s*[:=]\s*['\"]?[^\s'\",;&]+"
    ),
    # Name and password of an address.
    re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"),
    # AWS access key ids.
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
)


def redacted(text: str) -> str:
    """Replace everything in a text that looks like a credential."""
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
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
