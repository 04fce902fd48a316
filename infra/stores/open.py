"""Opens the store that a URL or path names."""

from __future__ import annotations

import uuid
from pathlib import Path

from orograph.infra.stores.base import Store
from orograph.pipeline.errors import ConfigError, OrographError, SourceMissing, StoreUnwritable


def check_writable(store: Store) -> None:
    """Put, read and delete a small object, so that an unwritable store fails before the run.

    Raises:
        StoreUnwritable, StoreUnavailable, DiskFull: the store's error, with a remedy.
    """
    key = f"doctor/{uuid.uuid4().hex}"
    remedy = "check the path, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and OROGRAPH_S3_ENDPOINT_URL"
    try:
        store.put(key, b"orograph")
        returned = store.get(key)
        store.delete(key)
    except OrographError as error:
        error.remedy = error.remedy or remedy
        raise
    except (OSError, KeyError, ValueError) as error:
        raise StoreUnwritable(f"{store.url}: {error}", remedy=remedy) from error
    if returned != b"orograph":
        raise StoreUnwritable(f"{store.url} gave back other bytes than it was given", remedy=remedy)


def open_store(
    url: str, *, endpoint_url: str | None = None, anonymous: bool = False, must_exist: bool = False
) -> Store:
    """The store at a folder, `file://` URL or `s3://bucket/prefix`.

    Credentials come from the environment, the AWS files or the machine's role, never from the URL.

    Raises:
        ConfigError: another scheme, a bucket without a name, credentials in the URL.
        SourceMissing: `must_exist` is set and the folder does not exist; for commands that only read published data.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "file", url
    if scheme == "file":
        from orograph.infra.stores.local import LocalStore

        if must_exist and not Path(rest).is_dir():
            raise SourceMissing(f"no store at {rest}", remedy="name the folder `orograph run` wrote to with --store")
        return LocalStore(Path(rest))
    if scheme == "s3":
        from orograph.infra.stores.s3 import S3Options, S3Store

        return S3Store(url, S3Options(endpoint_url=endpoint_url, anonymous=anonymous))
    raise ConfigError(f"no store for {scheme}:// URLs", remedy="use a folder or s3://bucket/prefix")
