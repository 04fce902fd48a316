"""Links start with the public URL, whether a proxy strips its path or not."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from orograph.infra.service.addresses import PublicAddress, PublicUrl, path_below
from orograph.pipeline.errors import ConfigError


@pytest.mark.parametrize("path", ["/dem/jobs", "/jobs"])
def test_links_have_the_public_address(path):
    app = Starlette(routes=[Route("/jobs", lambda request: PlainTextResponse(str(request.base_url)))])
    client = TestClient(PublicAddress(app, url=PublicUrl.parse("https://maps.example:8443/dem/")))
    assert client.get(path).text == "https://maps.example:8443/dem/"


def test_a_url_has_parts_or_is_rejected():
    assert PublicUrl.parse("") == PublicUrl()
    assert PublicUrl.parse("https://h:1/a/b/") == PublicUrl("https", "h:1", "/a/b")
    assert PublicUrl.parse("https://h:1/a").host_name == "h"
    for wrong in ("maps.example", "ftp://h/", "https://h/?a=1"):
        with pytest.raises(ConfigError, match="public_url"):
            PublicUrl.parse(wrong)


def test_only_whole_parts_of_a_path_are_the_prefix():
    assert path_below({"path": "/demo", "root_path": ""}, "/dem") == "/demo"
    assert path_below({"path": "/dem/x", "root_path": ""}, "/dem") == "/x"
