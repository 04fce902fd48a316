"""Translates the store's S3 settings to GDAL options, because the map reads published rasters through GDAL."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit


def gdal_s3_options(
    endpoint_url: str | None, environment: Mapping[str, str] = os.environ, *, anonymous: bool = False
) -> dict[str, str]:
    """GDAL options for the server and credentials that botocore would use.

    Args:
        endpoint_url: Endpoint in the settings; `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` when None.
        environment: Environment variables that botocore reads. Variables under GDAL's own names take precedence.
        anonymous: Send no signature.
    """
    options: dict[str, str] = {"AWS_NO_SIGN_REQUEST": "YES"} if anonymous else {}
    endpoint = endpoint_url or environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if endpoint:
        address = urlsplit(endpoint)
        options |= {
            "AWS_S3_ENDPOINT": address.netloc + address.path.rstrip("/"),
            "AWS_HTTPS": "YES" if address.scheme == "https" else "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
    credentials = environment.get("AWS_SHARED_CREDENTIALS_FILE")
    if credentials and "CPL_AWS_CREDENTIALS_FILE" not in environment:
        options["CPL_AWS_CREDENTIALS_FILE"] = credentials
    if "AWS_REGION" not in environment and "AWS_DEFAULT_REGION" not in environment:
        options["AWS_REGION"] = "us-east-1"  # as the store's own client
    return options
