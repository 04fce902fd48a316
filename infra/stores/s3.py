"""A bucket as a store, with conditional writes that stay correct when responses are lost.

A conditional PUT is not idempotent: when its response is lost, the second attempt fails because of the first. So every
write carries an id in the object's metadata, and after a 412 or 409 the id of the stored object decides.
"""

from __future__ import annotations

import base64
import hashlib
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from orograph.infra.stores.base import check_key, check_prefix
from orograph.infra.stores.retry import Backoff, retrying
from orograph.infra.stores.s3_client import LazyClient, S3Options, code_of, status_of, translated
from orograph.pipeline.core.objects import ObjectInfo
from orograph.pipeline.errors import ConfigError, ObjectExists, OrographError, PreconditionFailed, StoreUnavailable

__all__ = ["S3Options", "S3Store"]

T = TypeVar("T")

_WRITE_ID: Final = "orograph-write-id"
_CHUNK: Final = 2**20
_PREFIX_SEGMENT: Final = re.compile(r"[^\x00-\x20.*?\[\]#%\\\x7f][^\x00-\x1f*?\[\]#%\\\x7f]{0,199}")
"""Part of a store's own prefix: any letters, but nothing that patterns, URLs and paths read as something else."""


class S3Store:
    """Objects below `s3://bucket/prefix`. Pickled as URL and options; every process makes its own client."""

    def __init__(self, url: str, options: S3Options | None = None, backoff: Backoff | None = None) -> None:
        self.bucket, self.prefix = split_s3_url(url)
        self.url = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        self.options = options or S3Options()
        self.backoff = backoff or Backoff()
        self._lazy = LazyClient(self.options)

    def __repr__(self) -> str:
        return f"S3Store({self.url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (S3Store, (self.url, self.options, self.backoff))

    def head(self, key: str) -> ObjectInfo | None:
        """Return an object's size and ETag; None when it does not exist."""
        name = self._name(key)

        def call() -> ObjectInfo | None:
            try:
                answer = self._lazy.get().head_object(Bucket=self.bucket, Key=name)
            except Exception as error:
                if status_of(error) == 404 and code_of(error) != "NoSuchBucket":
                    return None
                raise
            return _info(key, answer)

        return self._try(call, key)

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """The object's bytes, or those from `start` up to `end`; KeyError when there is none."""
        if end is not None and end <= start:
            return b""
        name = self._name(key)
        extra = {} if start == 0 and end is None else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}

        def call() -> bytes | None:
            try:
                answer = self._lazy.get().get_object(Bucket=self.bucket, Key=name, **extra)
                data: bytes = answer["Body"].read()
            except Exception as error:
                if code_of(error) in {"NoSuchKey", "404"}:
                    return None
                if status_of(error) == 416:
                    return b""
                raise
            if "Content-Range" not in answer and "ContentRange" not in answer and extra:
                # A server that ignores Range sends the whole object with status 200.
                data = data[start:end]
            return data

        data = self._try(call, key)
        if data is None:
            raise KeyError(key)
        return data

    def download(self, key: str, path: Path) -> ObjectInfo:
        """Write the object to a local file; KeyError when there is none."""
        name = self._name(key)

        def call() -> ObjectInfo | None:
            try:
                answer = self._lazy.get().get_object(Bucket=self.bucket, Key=name)
            except Exception as error:
                if code_of(error) in {"NoSuchKey", "404"}:
                    return None
                raise
            with path.open("wb") as file:
                for chunk in answer["Body"].iter_chunks(_CHUNK):
                    file.write(chunk)
            info = _info(key, answer)
            if path.stat().st_size != info.size_bytes:
                raise StoreUnavailable(f"{key}: {path.stat().st_size} of {info.size_bytes} bytes came")
            return info

        info = self._try(call, key)
        if info is None:
            raise KeyError(key)
        return info

    def put(
        self,
        key: str,
        data: bytes | Path,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        media_type: str = "application/octet-stream",
    ) -> ObjectInfo:
        """Store an object atomically; see `ObjectStore.put`.

        Files above `single_put_bytes` are uploaded in parts. Not every server honours put-if-absent when parts are
        joined (Ceph does not), so such keys must have equal bytes from every writer; keys with a run key do.
        """
        write_id = uuid.uuid4().hex
        request = {
            "Bucket": self.bucket,
            "Key": self._name(key),
            "ContentType": media_type,
            "Metadata": {_WRITE_ID: write_id},
        }
        condition = {"IfNoneMatch": "*"} if if_absent else {} if if_match is None else {"IfMatch": if_match.strip('"')}
        large = isinstance(data, Path) and data.stat().st_size > self.options.single_put_bytes
        if large and if_absent and self.head(key) is not None:
            raise ObjectExists(f"{key} exists")

        def call() -> ObjectInfo:
            try:
                if large:
                    etag, size = self._put_parts(request, Path(data), condition)  # type: ignore[arg-type]
                else:
                    etag, size = self._put_once(request, data, condition)
            except Exception as error:  # noqa: BLE001 - raised again there, unless the write was ours
                return self._explain_rejection(error, key, write_id, condition)
            return ObjectInfo(key, etag, size, write_id)

        return self._try(call, key)

    def delete(self, key: str) -> None:
        """Delete an object; no-op if it does not exist."""
        name = self._name(key)
        self._try(lambda: self._lazy.get().delete_object(Bucket=self.bucket, Key=name), key)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with the prefix, sorted by key."""
        check_prefix(prefix)
        below = f"{self.prefix}/" if self.prefix else ""
        request: dict[str, Any] = {"Bucket": self.bucket, "Prefix": below + prefix}
        while True:
            page = self._try(lambda: self._lazy.get().list_objects_v2(**request), prefix)
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"].removeprefix(below), entry["ETag"].strip('"'), entry["Size"])
            if not page.get("IsTruncated"):
                return
            request["ContinuationToken"] = page["NextContinuationToken"]

    def _name(self, key: str) -> str:
        check_key(key)
        return f"{self.prefix}/{key}" if self.prefix else key

    def _try(self, call: Callable[[], T], key: str) -> T:
        def translating() -> T:
            try:
                return call()
            except (KeyError, OrographError):
                raise
            except Exception as error:
                raise translated(error, self._where(key)) from error

        return retrying(translating, self.backoff)

    def _where(self, key: str) -> str:
        return f"{self.url}/{key}"

    def _put_once(self, request: dict[str, Any], data: bytes | Path, condition: dict[str, str]) -> tuple[str, int]:
        if isinstance(data, bytes):
            digest, size = hashlib.md5(data, usedforsecurity=False), len(data)
            answer = self._lazy.get().put_object(**request, **condition, Body=data, ContentMD5=_base64(digest))
        else:
            with data.open("rb") as file:
                digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
                size = file.tell()
                file.seek(0)
                answer = self._lazy.get().put_object(**request, **condition, Body=file, ContentMD5=_base64(digest))
        return answer["ETag"].strip('"'), size

    def _put_parts(self, request: dict[str, Any], path: Path, condition: dict[str, str]) -> tuple[str, int]:
        client = self._lazy.get()
        where = {"Bucket": request["Bucket"], "Key": request["Key"]}
        upload = {**where, "UploadId": client.create_multipart_upload(**request)["UploadId"]}
        try:
            parts = list(self._upload_parts(upload, path))
            client.complete_multipart_upload(**upload, **condition, MultipartUpload={"Parts": parts})
        except BaseException:
            # Parts of an unfinished upload are billed but never listed.
            client.abort_multipart_upload(**upload)
            raise
        # Some servers do not return the ETag when a multipart upload is completed.
        answer = client.head_object(**where)
        return answer["ETag"].strip('"'), answer["ContentLength"]

    def _upload_parts(self, upload: dict[str, Any], path: Path) -> Iterator[dict[str, Any]]:
        with path.open("rb") as file:
            number = 0
            while block := file.read(self.options.part_bytes):
                number += 1
                md5 = _base64(hashlib.md5(block, usedforsecurity=False))
                answer = retrying(lambda: self._put_part(upload, number, block, md5), self.backoff)  # noqa: B023
                yield {"PartNumber": number, "ETag": answer["ETag"]}

    def _put_part(self, upload: dict[str, Any], number: int, block: bytes, md5: str) -> Any:
        try:
            return self._lazy.get().upload_part(**upload, PartNumber=number, Body=block, ContentMD5=md5)
        except Exception as error:
            raise translated(error, self._where(upload["Key"])) from error

    def _explain_rejection(self, error: Exception, key: str, write_id: str, condition: dict[str, str]) -> ObjectInfo:
        """After 412, 409 or (compare-and-swap only) 404: ours, lost, or to be tried again. Never guesses."""
        status = status_of(error)
        conflicting = bool(condition) and (status in {409, 412} or (status == 404 and "IfMatch" in condition))
        if not conflicting or code_of(error) == "NoSuchBucket":
            raise error
        found = self.head(key)
        if found is not None and found.write_id == write_id:
            return found
        if "IfMatch" in condition:
            if status == 409 and found is not None and found.etag == condition["IfMatch"]:
                raise StoreUnavailable(f"{key}: another conditional write is in progress")
            etag = "none" if found is None else found.etag
            raise PreconditionFailed(f"{key} has the ETag {etag}, expected {condition['IfMatch']}")
        if found is None:
            # The winner's object was deleted again, or its write is still under way.
            raise StoreUnavailable(f"{key}: another conditional write is in progress")
        raise ObjectExists(f"{key} exists")


def split_s3_url(url: str) -> tuple[str, str]:
    """Bucket and prefix (without slashes at its ends) of an `s3://` URL.

    Raises:
        ConfigError: no bucket, credentials before an `@`, or a prefix that patterns and paths could not name.
    """
    rest = url.removeprefix("s3://")
    bucket, _, prefix = rest.partition("/")
    if not bucket or "@" in bucket or ":" in bucket or rest == url:
        raise ConfigError("not an S3 URL: s3://bucket/prefix is wanted, without credentials")
    prefix = prefix.strip("/")
    if prefix and not all(map(_PREFIX_SEGMENT.fullmatch, prefix.split("/"))):
        raise ConfigError(
            f"not a prefix of a store: {prefix[:80]!r}",
            remedy="leave out empty parts, parts that start with a dot or a space, and control characters and *?[]#%\\",
        )
    return bucket, prefix


def _info(key: str, answer: dict[str, Any]) -> ObjectInfo:
    write_id = answer.get("Metadata", {}).get(_WRITE_ID)
    return ObjectInfo(key, answer["ETag"].strip('"'), answer["ContentLength"], write_id)


def _base64(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()
