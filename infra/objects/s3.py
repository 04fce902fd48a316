"""Objects in S3 buckets, through s3fs: its sessions, credentials and connections, with one request per call.

s3fs's `call_s3` returns the raw response of each request, so that ranges use If-Match and every ETag is compared. Its
own retries are off, because `orograph.infra.stores.retry` retries for all protocols.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from orograph.infra.objects.client import RangesIgnored, Settings, Sink
from orograph.infra.objects.http import changed
from orograph.infra.stores.s3_client import code_of, status_of, translated
from orograph.pipeline.errors import (
    ConfigError,
    InputError,
    OrographError,
    SourceInaccessible,
    SourceMissing,
    SourceUnavailable,
    StoreUnwritable,
    TransientError,
)
from orograph.pipeline.sources.refs import FileRef

_CHUNK: Final = 2**20
_ELSEWHERE: Final = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
}
_KEY_ETAGS: Final = {"aws:kms", "aws:kms:dsse"}


class S3Objects:
    """Reads `s3://bucket/key` objects."""

    def __init__(self, settings: Settings) -> None:
        import s3fs

        self.settings = settings
        region = {"region_name": settings.region} if settings.region else {}
        endpoint = settings.endpoint_url
        config: dict[str, Any] = {
            "connect_timeout": 10.0,
            "read_timeout": settings.read_timeout_s,
            "retries": {"total_max_attempts": 1, "mode": "standard"},
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "s3": {"addressing_style": "path" if endpoint and ".amazonaws.com" not in endpoint else "auto"},
            "max_pool_connections": 32,
        }
        if settings.ignore_environment:
            config["ignore_configured_endpoint_urls"] = True
        with _faults("s3"):
            self._fs = s3fs.S3FileSystem(
                anon=settings.anonymous,
                endpoint_url=endpoint,
                profile=settings.profile,
                requester_pays=settings.requester_pays,
                client_kwargs=region,
                config_kwargs=config,
                skip_instance_cache=True,
            )
        self._fs.retries = 1

    def probe(self, href: str) -> FileRef:
        """Identity and size by HEAD; after an error by GET of one byte, as responses to HEAD have no error code."""
        bucket, key = split_href(href)
        with _faults(href):
            try:
                answer = self._fs.call_s3("head_object", Bucket=bucket, Key=key)
            except OSError as error:
                if not 400 <= status_of(_root(error)) < 500 or status_of(_root(error)) == 429:
                    raise
                answer = self._fs.call_s3("get_object", Bucket=bucket, Key=key, Range="bytes=0-0")
                size = int(answer["ContentRange"].rpartition("/")[2])
                return FileRef(href=href, etag=answer["ETag"].strip('"'), size_bytes=size)
        return FileRef(href=href, etag=answer["ETag"].strip('"'), size_bytes=answer["ContentLength"])

    def range(self, file: FileRef, start: int, end: int) -> bytes:
        """See `ObjectClient.range`."""
        from fsspec.asyn import sync

        with _faults(file.href, file):
            data: bytes = sync(self._fs.loop, self._range, file, start, end)
        return data

    def stream(self, file: FileRef, sink: Sink) -> str | None:
        """See `ObjectClient.stream`."""
        from fsspec.asyn import sync

        with _faults(file.href, file):
            answer = sync(self._fs.loop, self._stream, file, sink)
        return promised_md5(file, answer)

    def list(self, prefix: str) -> Iterator[str]:
        """See `ObjectClient.list`."""
        bucket, below = split_href(prefix, needs_key=False)
        request: dict[str, Any] = {"Bucket": bucket, "Prefix": below}
        while True:
            with _faults(prefix):
                page = self._fs.call_s3("list_objects_v2", **request)
            for entry in page.get("Contents", ()):
                yield f"s3://{bucket}/{entry['Key']}"
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def is_readable(self, prefix: str) -> bool:
        """Whether the bucket lists an object below the prefix."""
        bucket, below = split_href(prefix, needs_key=False)
        with _faults(prefix):
            page = self._fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=below, MaxKeys=1)
        return bool(page.get("Contents"))

    async def _range(self, file: FileRef, start: int, end: int) -> bytes:
        bucket, key = split_href(file.href)
        answer = await self._fs._call_s3(  # noqa: SLF001 - the coroutine behind `call_s3`
            "get_object", Bucket=bucket, Key=key, IfMatch=f'"{file.etag}"', Range=f"bytes={start}-{end - 1}"
        )
        async with answer["Body"] as body:
            _check_version(answer, file)
            if "ContentRange" not in answer:
                raise RangesIgnored
            if answer["ContentRange"] != f"bytes {start}-{end - 1}/{file.size_bytes}":
                raise SourceUnavailable(
                    f"asked for bytes {start} to {end}, got {answer['ContentRange']}", source=file.href
                )
            data: bytes = await body.read()
        if len(data) != end - start:
            raise SourceUnavailable(f"{len(data)} bytes came, {end - start} were asked for", source=file.href)
        return data

    async def _stream(self, file: FileRef, sink: Sink) -> dict[str, Any]:
        bucket, key = split_href(file.href)
        answer: dict[str, Any] = await self._fs._call_s3(  # noqa: SLF001
            "get_object", Bucket=bucket, Key=key, IfMatch=f'"{file.etag}"'
        )
        async with answer["Body"] as body:
            _check_version(answer, file)
            while chunk := await body.read(_CHUNK):
                sink(chunk)
        return answer


def split_href(href: str, *, needs_key: bool = True) -> tuple[str, str]:
    """Bucket and key of an `s3://` href.

    Raises:
        InputError: one of them is missing.
    """
    bucket, _, key = href.partition("://")[2].partition("/")
    if not bucket or (needs_key and not key):
        raise InputError("an s3:// href needs a bucket and a key", source=href)
    return bucket, key


def promised_md5(file: FileRef, answer: dict[str, Any]) -> str | None:
    """The MD5 of the content if the ETag is one: not with KMS or customer keys, multipart or directory buckets."""
    bucket, _ = split_href(file.href)
    is_other = (
        answer.get("ServerSideEncryption") in _KEY_ETAGS
        or "SSECustomerAlgorithm" in answer
        or bucket.endswith("--x-s3")
        or len(file.etag) != 32
        or not set(file.etag) <= set("0123456789abcdef")
    )
    return None if is_other else file.etag


def _check_version(answer: dict[str, Any], file: FileRef) -> None:
    etag = answer["ETag"].strip('"')
    if etag != file.etag:
        raise changed(file, etag)


def _root(error: BaseException) -> Exception:
    """The botocore error that caused an error of s3fs."""
    cause = error.__cause__
    return cause if isinstance(cause, Exception) and isinstance(error, OSError) else error  # type: ignore[return-value]


@contextmanager
def _faults(href: str, file: FileRef | None = None) -> Iterator[None]:
    try:
        yield
    except (OrographError, RangesIgnored):
        raise
    except Exception as error:
        raise _typed(_root(error), href, file) from error


def _typed(error: Exception, href: str, file: FileRef | None) -> OrographError:
    import aiohttp

    status, code = status_of(error), code_of(error)
    if status in {412, 416} and file is not None:
        return changed(file, "another")
    if code == "NoSuchKey":
        return SourceMissing(
            "object not found (NoSuchKey)", source=href, remedy="correct the href in the source catalogue"
        )
    if isinstance(error, aiohttp.ClientError | TimeoutError | ConnectionError):
        return SourceUnavailable(f"{type(error).__name__}: {error}", source=href)
    return _misplaced(error, status, code, href) or _answered(error, status, code, href)


def _misplaced(error: Exception, status: int, code: str, href: str) -> OrographError | None:
    """Errors of the source's settings: bucket, region, profile, credentials."""
    from botocore import exceptions

    if code == "NoSuchBucket":
        return SourceInaccessible(
            "the server has no such bucket (NoSuchBucket)",
            source=href,
            remedy="correct the bucket, or set `access.endpoint_url` of the source to the server that has it",
        )
    if code in _ELSEWHERE or 300 <= status < 400:
        return SourceInaccessible(
            f"the bucket is in another region or on another server ({code or status})",
            source=href,
            remedy="set `access.region` and `access.endpoint_url` of the source",
        )
    if isinstance(error, exceptions.ProfileNotFound | exceptions.InvalidRegionError):
        return ConfigError(str(error), source=href, remedy="correct `access` of the source")
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return SourceInaccessible(
            "no credentials",
            source=href,
            remedy="set AWS_ACCESS_KEY_ID, `access.profile`, or `anonymous: true` for a public bucket",
        )
    return None


def _answered(error: Exception, status: int, code: str, href: str) -> OrographError:
    """Errors that the server answered with."""
    found = translated(error, href)
    if isinstance(found, TransientError):
        unavailable = SourceUnavailable(found.message, source=href)
        unavailable.retry_after_s = getattr(found, "retry_after_s", None)  # type: ignore[attr-defined]
        return unavailable
    remedy = "check the href and `access` of the source"
    if code == "AccessDenied" or (status == 403 and not code):
        remedy = "check the source's credentials; absent keys answer 403 too unless s3:ListBucket is granted"
    elif isinstance(found, StoreUnwritable):
        remedy = found.remedy or remedy
    if isinstance(found, StoreUnwritable) or 400 <= status < 500:
        return SourceInaccessible(found.message, source=href, remedy=remedy)
    return InputError(found.message, source=href)
