"""ETags, HEAD and compression of JSON answers."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from orograph.stac.serving.conditional import EntityTags, GzipExcept, HeadAsGet, etag_matches, route_path


@pytest.fixture(scope="module")
def client():
    def plain(_request):
        return PlainTextResponse("x" * 2000, headers={"Vary": "Origin"})

    def stream(_request):
        return StreamingResponse(iter(["a", "b"]))

    def secret(_request):
        return PlainTextResponse("s", headers={"Cache-Control": "no-store"})

    app = Starlette(
        routes=[
            Route(path, made, methods=["GET"])
            for path, made in (("/a", plain), ("/stream", stream), ("/secret", secret), ("/files/a", plain))
        ]
    )
    return TestClient(HeadAsGet(GzipExcept(EntityTags(app), except_below=["/files/"])))


def test_an_answer_is_tagged_and_not_sent_again(client):
    first = client.get("/a")
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    again = client.get("/a", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["vary"]) == (304, b"", "Origin")
    assert client.get("/a", headers={"If-None-Match": '"x"'}).status_code == 200


def test_streams_and_secrets_have_no_tag(client):
    assert "etag" not in client.get("/stream").headers
    assert client.get("/stream").text == "ab"
    assert "etag" not in client.get("/secret").headers


def test_head_is_get_without_the_body(client):
    head, get = client.head("/a"), client.get("/a")
    assert head.content == b""
    assert head.headers["etag"] == get.headers["etag"]


def test_rasters_are_not_compressed_again(client):
    assert client.get("/a").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/files/a").headers


def test_tags_compare_weakly_and_paths_start_at_the_mount():
    assert etag_matches('W/"a", "b"', '"a"')
    assert etag_matches("*", '"a"')
    assert not etag_matches("", '"a"')
    assert route_path({"path": "/root/a", "root_path": "/root"}) == "/a"
    assert route_path({"path": "/rooted", "root_path": "/root"}) == "/rooted"
