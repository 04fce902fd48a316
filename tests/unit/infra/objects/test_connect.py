"""Clients are shared by protocol and settings."""

import pytest

from orograph.infra.objects.client import Settings
from orograph.infra.objects.connect import client_of
from orograph.infra.objects.http import HttpObjects
from orograph.infra.objects.s3 import S3Objects
from orograph.pipeline.errors import OrographError


def test_hrefs_of_one_protocol_share_a_client():
    settings = Settings()
    assert client_of("https://a/x.tif", settings) is client_of("http://b/y.tif", settings)
    assert isinstance(client_of("https://a/x.tif", settings), HttpObjects)
    assert isinstance(client_of("s3://bucket/x.tif", settings), S3Objects)
    assert client_of("s3a://bucket/x.tif", settings) is client_of("s3://other/x.tif", settings)


def test_an_unknown_protocol_is_an_error_of_the_tree():
    with pytest.raises(OrographError):
        client_of("gopher://host/x.tif", Settings())
