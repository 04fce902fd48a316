"""One S3 client per process, and the translation of its errors.

botocore is used directly, without a file-system layer: conditional writes need the status code of every
response, and silent retries of a layer would turn a lost response into a false conflict (docs/design/070).
"""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from orograph.pipeline.errors import DiskFull, OrographError, StoreError, StoreUnavailable, StoreUnwritable

_FORBIDDEN: Final = {
    "AccessDenied": "ask for permission, or choose another bucket",
    "AllAccessDisabled": "ask for permission, or choose another bucket",
    "InvalidAccessKeyId": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of an account the server knows",
    "SignatureDoesNotMatch": "the secret key is wrong: check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the temporary credentials have expired: fetch new ones",
    "InvalidToken": "the session token is wrong: check AWS_SESSION_TOKEN",
    "RequestTimeTooSkewed": "this machine's clock is off: synchronise it (chrony, ntpd)",
    "NoSuchBucket": "make the bucket first, or correct its name",
    "401": "the server asks for credentials",
    "403": "the credentials do not allow this, or none were given",
}
_FULL: Final = {"QuotaExceeded", "InsufficientCapacity", "507"}
_PASSING: Final = {
    "SlowDown",
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalError",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "BadDigest",
    "IncompleteBody",
    "OperationAborted",
    "408",
    "429",
}


@dataclass(frozen=True, slots=True)
class S3Options:
    """Settings of an S3 client; credentials come from the environment, the AWS files or the machine's role.

    Attributes:
        endpoint_url: Endpoint of a server other than AWS; `AWS_ENDPOINT_URL` when None.
        anonymous: Send no signature, for public buckets.
        connect_timeout_s, read_timeout_s: Longest time to wait for a connection and for a response.
        single_put_bytes: Larger files are uploaded in parts.
    """

    endpoint_url: str | None = None
    region: str | None = None
    anonymous: bool = False
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 60.0
    single_put_bytes: int = 256 * 2**20
    part_bytes: int = 64 * 2**20


@dataclass(slots=True)
class LazyClient:
    """A botocore client made at first use, once per process; never pickled or kept after a fork."""

    options: S3Options
    _client: Any = field(default=None, repr=False)
    _process: int = field(default=0, repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def get(self) -> Any:
        """The client of this process; botocore's clients may be shared by threads."""
        if self._process != os.getpid():
            with self._lock:
                if self._process != os.getpid():
                    self._client = make_client(self.options)
                    self._process = os.getpid()
        return self._client

    def __reduce__(self) -> tuple[Any, ...]:
        return (LazyClient, (self.options,))


def make_client(options: S3Options) -> Any:
    """Make a botocore S3 client that does not retry by itself."""
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        signature_version=UNSIGNED if options.anonymous else "s3v4",
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        retries={"total_max_attempts": 1, "mode": "standard"},
        # Content-MD5 is sent instead: servers older than 2025 do not know the trailing checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if options.endpoint_url else "auto"},
        max_pool_connections=16,
    )
    region = options.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = options.endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    session = botocore.session.get_session()
    return session.create_client("s3", region_name=region, endpoint_url=endpoint, config=config)


def code_of(error: Exception) -> str:
    """S3's code of an error, or the HTTP status if the response had no body (HEAD)."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def status_of(error: Exception) -> int:
    """HTTP status of the response; 0 without a response."""
    response = getattr(error, "response", None)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if isinstance(response, dict) else 0


def translated(error: Exception, where: str) -> OrographError:
    """Translate a botocore exception to a typed error; unknown ones become `StoreError` with the server's message."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    if isinstance(error, OrographError):
        return error
    if isinstance(error, exceptions.ClientError):
        return _translated_answer(error, where)
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return StoreUnwritable(f"{where}: no credentials", remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    passing = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.IncompleteReadError,
        exceptions.ResponseStreamingError,
        ResponseParserError,
        TimeoutError,
        ConnectionError,
    )
    if isinstance(error, passing):
        return StoreUnavailable(f"{where}: {_first_line(error)}")
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"{where}: {_first_line(error)}", remedy="free space on the scratch disk")
    return StoreError(f"{where}: {type(error).__name__}: {_first_line(error)}")


def _translated_answer(error: Any, where: str) -> OrographError:
    code, status = code_of(error), status_of(error)
    said = error.response.get("Error", {}).get("Message") or ""
    text = f"{where}: {code or status} {said}".rstrip().splitlines()[0][:300]
    if code in _FORBIDDEN or status in {401, 403}:
        return StoreUnwritable(text, remedy=_FORBIDDEN.get(code, _FORBIDDEN["403"]))
    if code in _FULL or status == 507:
        return DiskFull(text, remedy="raise the bucket's quota, then run the same command again: it resumes")
    if code in _PASSING or status >= 500 or status in {408, 409, 425, 429}:
        unavailable = StoreUnavailable(text)
        asked = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("retry-after", "")
        if asked.isdigit():
            unavailable.retry_after_s = float(asked)  # type: ignore[attr-defined]  # read by `retrying`, not pickled
        return unavailable
    return StoreError(text)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
