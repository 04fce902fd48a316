"""Make a bucket if it does not exist: `python -m orograph.infra.machine.make_bucket s3://name`.

The server is that of the store: `OROGRAPH_S3_ENDPOINT_URL`, or AWS.
"""

from __future__ import annotations

import sys

from orograph.infra.stores.s3 import split_s3_url
from orograph.infra.stores.s3_client import S3Options, code_of, make_client, translated
from orograph.pipeline.settings import RunSettings


def make_bucket(url: str, endpoint_url: str | None = None) -> None:
    """Make the bucket of an `s3://` URL; a bucket that we own already is left as it is.

    Raises:
        StoreError, StoreUnavailable: the server rejects the request or does not answer.
    """
    bucket, _ = split_s3_url(url)
    try:
        make_client(S3Options(endpoint_url=endpoint_url)).create_bucket(Bucket=bucket)
    except Exception as error:
        if code_of(error) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise translated(error, url) from error


if __name__ == "__main__":
    make_bucket(sys.argv[1], RunSettings.with_flags().s3_endpoint_url)
