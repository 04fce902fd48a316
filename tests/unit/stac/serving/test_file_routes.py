import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from orograph.stac.serving.file_routes import files_router, media_type_of
from tests.support.catalogue_world import MemoryStore

DATA = bytes(range(256)) * 16
KEY = "tiles/E4300N2650/abc/dem.tif"


@pytest.fixture
def client():
    store = MemoryStore()
    store.put(KEY, DATA)
    store.put("stac/catalog.json", b"{}")
    store.put("stac/pending/dem-eu/x", b"{}")
    store.put("jobs/secret.json", b"{}")
    app = FastAPI()
    app.include_router(files_router(store), prefix="/files")
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-9", DATA[:10]),
        ("bytes=4000-", DATA[4000:]),
        ("bytes=-5", DATA[-5:]),
        ("bytes=10-99999", DATA[10:]),
        ("bytes=0-", DATA),
    ],
)
def test_ranges(client, header, expected):
    response = client.get(f"/files/{KEY}", headers={"Range": header})
    assert response.status_code == 206
    assert response.content == expected
    start = DATA.index(expected) if header != "bytes=-5" else len(DATA) - 5
    assert response.headers["content-range"].startswith(f"bytes {start}-") or header == "bytes=4000-"


def test_impossible_and_unknown_ranges(client):
    response = client.get(f"/files/{KEY}", headers={"Range": "bytes=9999-"})
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{len(DATA)}"
    assert client.get(f"/files/{KEY}", headers={"Range": "lines=1-2"}).content == DATA


def test_head_and_conditional_requests(client):
    head = client.head(f"/files/{KEY}")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(DATA)), b"")
    assert client.get(f"/files/{KEY}", headers={"If-None-Match": head.headers["etag"]}).status_code == 304
    assert "immutable" in head.headers["cache-control"]
    assert client.head("/files/stac/catalog.json").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "key",
    ["jobs/secret.json", "stac/pending/dem-eu/x", "tiles/%2e%2e/jobs/secret.json", "tiles/..%2fjobs/secret.json",
     "tiles//x", "tiles/none.tif", "%2fetc/passwd", "stac/..%5cjobs", "tiles/x%00"],
)  # fmt: skip
def test_only_published_keys_are_served(client, key):
    assert client.get(f"/files/{key}").status_code == 404


def test_media_types():
    assert media_type_of("tiles/a/b/dem.tif").endswith("profile=cloud-optimized")
    assert media_type_of("stac/dem-eu/b/E1/E1.json") == "application/geo+json"
    assert media_type_of("stac/catalog.json") == "application/json"
    assert media_type_of("stac/x/items.parquet") == "application/vnd.apache.parquet"
    assert media_type_of("cells/x/N47E010.hgt") == "application/octet-stream"


def test_a_part_of_another_version_is_not_sent(client):
    etag = client.head(f"/files/{KEY}").headers["etag"]
    part = {"Range": "bytes=0-9"}
    assert client.get(f"/files/{KEY}", headers={**part, "If-Range": etag}).status_code == 206
    for other in ('"other"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        whole = client.get(f"/files/{KEY}", headers={**part, "If-Range": other})
        assert (whole.status_code, whole.content) == (200, DATA), other
    for present in (etag, "*", f'"other", {etag}'):
        assert client.get(f"/files/{KEY}", headers={**part, "If-Match": present}).status_code == 206
    for other in ('"other"', f"W/{etag}"):
        gone = client.get(f"/files/{KEY}", headers={**part, "If-Match": other})
        assert (gone.status_code, gone.content, gone.headers["etag"]) == (412, b"", etag)
    assert client.get(f"/files/{KEY}", headers={"If-None-Match": f"W/{etag}"}).status_code == 304
    assert client.get(f"/files/{KEY}", headers={"If-None-Match": etag[:-2] + '"'}).status_code == 200
