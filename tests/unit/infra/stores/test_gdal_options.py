"""GDAL is given the server and credentials that the store's client uses."""

from __future__ import annotations

from orograph.infra.stores.gdal_options import gdal_s3_options


def test_every_name_of_the_endpoint_reaches_gdal() -> None:
    expected = {"AWS_S3_ENDPOINT": "s3:9000", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
    region = {"AWS_REGION": "eu-central-1"}
    assert gdal_s3_options("http://s3:9000", region) == expected
    assert gdal_s3_options(None, {"AWS_ENDPOINT_URL": "http://s3:9000/", **region}) == expected
    both = {"AWS_ENDPOINT_URL": "http://other", "AWS_ENDPOINT_URL_S3": "http://s3:9000", **region}
    assert gdal_s3_options(None, both) == expected
    assert gdal_s3_options(None, region) == {}
    assert gdal_s3_options("https://s3.example.org", {})["AWS_HTTPS"] == "YES"


def test_the_credentials_file_reaches_gdal() -> None:
    names = {"AWS_REGION": "x", "AWS_SHARED_CREDENTIALS_FILE": "/run/secrets/s3"}
    assert gdal_s3_options(None, names) == {"CPL_AWS_CREDENTIALS_FILE": "/run/secrets/s3"}
    assert gdal_s3_options(None, {**names, "CPL_AWS_CREDENTIALS_FILE": "/own"}) == {}
