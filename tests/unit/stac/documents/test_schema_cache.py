import httpx
import pytest

from orograph.pipeline.errors import CatalogueError
from orograph.stac.documents.items import EXTENSIONS, item_from_manifest
from orograph.stac.documents.schema_cache import cached_library
from tests.support.catalogue_world import make_manifest


def test_schemas_are_fetched_once_and_then_offline(tmp_path, shared):
    folder = shared("stac-schemas")
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, content=(folder / request.url.path.lstrip("/")).read_bytes())

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        library = cached_library(EXTENSIONS, tmp_path, client)
        assert len(asked) == len(EXTENSIONS) - 1
        cached_library(EXTENSIONS, tmp_path, client)
        assert len(asked) == len(EXTENSIONS) - 1
    assert list(library.faults(item_from_manifest(make_manifest(None), asset_href=str))) == []


@pytest.mark.parametrize("answer", [httpx.Response(404), httpx.Response(200, content=b"<html>")])
def test_what_is_no_schema_is_refused_and_not_kept(tmp_path, answer):
    with (
        httpx.Client(transport=httpx.MockTransport(lambda _: answer)) as client,
        pytest.raises(CatalogueError, match="--schemas"),
    ):
        cached_library(EXTENSIONS, tmp_path, client)
    assert not list(tmp_path.rglob("*.json"))


def test_only_extension_addresses_are_asked(tmp_path):
    with (
        httpx.Client(transport=httpx.MockTransport(lambda _: pytest.fail("asked"))) as client,
        pytest.raises(CatalogueError, match="not the address of a STAC extension"),
    ):
        cached_library(["https://internal.example/schema.json"], tmp_path, client)
