"""Sources in buckets and on HTTP servers: own settings each, listed, pinned; absent is not forbidden."""

from __future__ import annotations

import hashlib
import json
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import fsspec
import numpy as np
import pytest
import rasterio
import yaml
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.objects.sparse import SparseCopy
from orograph.infra.runs.fetch import Fetcher
from orograph.infra.runs.source_access import SourceAccess
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.errors import (
    ConfigError,
    InputError,
    SourceChanged,
    SourceInaccessible,
    SourceMissing,
    SourceUnavailable,
)
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.sources.catalogue import Access, CellTemplate, Files, SourceCatalogue
from orograph.pipeline.sources.partial import ensure, path_of
from orograph.pipeline.sources.raster_facts import FactsReader
from tests.support.counting_proxy import CountingProxy
from tests.support.faulty_http import FaultyServer
from tests.support.made import source, write_catalogue, write_source
from tests.support.tiffs import write_heights

BOX = (4_010_000.0, 3_010_000.0, 4_016_000.0, 3_016_000.0)
TILE = "E4000N3000"
QUICK = Backoff(attempts=2, first_s=0.001)
HEIGHTS = np.random.default_rng(0).normal(500, 20, (700, 900)).astype(np.float32)


@pytest.fixture
def raster(tmp_path):
    return write_source(tmp_path / "a.tif", "EPSG:3035", BOX, 10)


def access(tmp_path, **settings):
    return SourceAccess(RunSettings(scratch=tmp_path / "scratch", **settings), tmp_path / "copies")


def put(server, bucket, **objects):
    for key, path in objects.items():
        server.client().put_object(Bucket=bucket, Key=key.replace("__", "/") + ".tif", Body=path.read_bytes())


@pytest.mark.s3
def test_ranges_of_a_bucket_are_pinned(s3_server, s3_bucket, tmp_path):
    put(s3_server, s3_bucket, a=write_heights(tmp_path / "a.tif", HEIGHTS))
    fetcher = Fetcher(endpoint_url=s3_server.endpoint_url, backoff=QUICK)
    file = fetcher.probe(f"s3://{s3_bucket}/a.tif")
    copy = fetcher.open(file, tmp_path / "scratch")
    assert isinstance(copy, SparseCopy)
    with rasterio.open(copy.path) as dataset:
        ensure(copy, 0, 0, 300, 200, dataset.shape)
        np.testing.assert_array_equal(dataset.read(1, window=((0, 200), (0, 300))), HEIGHTS[:200, :300])
    put(s3_server, s3_bucket, a=write_heights(tmp_path / "a.tif", HEIGHTS + 1))
    with pytest.raises(SourceChanged):
        ensure(copy, 500, 500, 100, 100, (700, 900))


@pytest.mark.s3
def test_buckets_are_listed(s3_server, s3_bucket, raster, tmp_path):
    put(s3_server, s3_bucket, dtm__b=raster, dtm__a=raster, dtm__deep__c=raster, other=raster)
    files = access(tmp_path, s3_endpoint_url=s3_server.endpoint_url)
    assert files.listed(f"s3://{s3_bucket}/dtm/*.tif", source(raster)) == [
        f"s3://{s3_bucket}/dtm/{name}.tif" for name in "ab"
    ]
    assert len(files.listed(f"s3://{s3_bucket}/**/*.tif", source(raster))) == 4
    with pytest.raises(SourceMissing, match="none of 3 objects"):
        files.listed(f"s3://{s3_bucket}/dtm/*.hgt", source(raster))
    with pytest.raises(SourceInaccessible, match="NoSuchBucket"):
        files.listed("s3://no-such-bucket/*.tif", source(raster))


@pytest.mark.s3
def test_own_store_with_an_anonymous_source_elsewhere(s3_server, s3_bucket, raster, tmp_path, monkeypatch):
    """The store's endpoint serves the store; the source is asked where it is, unsigned, although AWS_ENDPOINT_URL is set."""
    public = f"{s3_bucket}-public"
    s3_server.client().create_bucket(Bucket=public, ACL="public-read")
    s3_server.client().put_object(Bucket=public, Key="dtm/a.tif", Body=raster.read_bytes(), ACL="public-read")
    with CountingProxy(s3_server.endpoint_url) as elsewhere:
        made = source(
            raster,
            anonymous=True,
            access=Access(endpoint_url=elsewhere.url, region="eu-central-1"),
            data=Files(hrefs=(f"s3://{public}/dtm/*.tif",)),
        )
        catalogue = tmp_path / "catalogue.yaml"
        write_catalogue(catalogue, made)
        monkeypatch.setenv("OROGRAPH_S3_ENDPOINT_URL", s3_server.endpoint_url)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        store = f"s3://{s3_bucket}/store"
        asked = ["run", "-c", str(catalogue), "-t", TILE, "-o", store, "-w", "1", "--json"]
        done = CliRunner().invoke(app, [*asked, "--grids-dir", str(tmp_path / "grids")])
        assert done.exit_code == 0, done.output
        assert elsewhere.counts["GET"] >= 2
    listed = s3_server.client().list_objects_v2(Bucket=s3_bucket, Prefix="store/")["Contents"]
    keys = [entry["Key"] for entry in listed]
    assert any(key.startswith("store/tiles/") and key.endswith("manifest.json") for key in keys)
    (report,) = [key for key in keys if key.endswith("report.json")]
    reads = json.loads(s3_server.client().get_object(Bucket=s3_bucket, Key=report)["Body"].read())["reads"]
    counts = reads[made.id]
    assert counts["requests"] >= 1
    assert 0 < counts["bytes_fetched"] + counts["cache_bytes"] <= 1.3 * counts["bytes_needed"]


@pytest.mark.s3
def test_a_mirror_in_a_bucket_is_a_source(s3_server, s3_bucket, raster, tmp_path, monkeypatch):
    monkeypatch.setenv("OROGRAPH_S3_ENDPOINT_URL", s3_server.endpoint_url)
    with FaultyServer() as server, rasterio.open(raster) as dataset:
        made = source(raster, data=Files(hrefs=(server.serve("dtm/a.tif", raster.read_bytes()),)))
        catalogue = tmp_path / "catalogue.yaml"
        write_catalogue(catalogue, made)
        west, south, east, north = transform_bounds(dataset.crs, "EPSG:4258", *dataset.bounds)
        area = f"{west + (east - west) / 2},{south},{east},{north}"
        asked = ["sources", "mirror", made.id, "-c", str(catalogue), "--area", area, "--to", f"s3://{s3_bucket}/own"]
        done = CliRunner().invoke(app, [*asked, "--rate", "1000"])
        assert done.exit_code == 0, done.output
        heights = dataset.read(1)
    own = source(raster, data=Files(hrefs=(f"s3://{s3_bucket}/own/{made.id}/*/*.tif",)))
    files = access(tmp_path, s3_endpoint_url=s3_server.endpoint_url)
    (href,) = files.listed(own.data.hrefs[0], own)
    copy = files.opened(files.probe(href, own), own)
    with rasterio.open(path_of(copy)) as cog:
        assert cog.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert 0.4 < cog.width / heights.shape[1] < 0.75
        ensure(copy, 0, 0, cog.width, cog.height, cog.shape)
        row, col = round((BOX[3] - cog.bounds.top) / 10), round((cog.bounds.left - BOX[0]) / 10)
        np.testing.assert_array_equal(cog.read(1), heights[row : row + cog.height, col : col + cog.width])


@pytest.mark.s3
def test_every_way_to_be_denied_is_its_own_error(s3_server, s3_bucket, raster, tmp_path, monkeypatch):
    cells = CellTemplate(href=f"s3://{s3_bucket}/cells/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif")
    made = source(raster, data=cells)
    href = f"s3://{s3_bucket}/cells/N00E000.tif"

    def probe(one=made, at=href):
        return access(tmp_path, s3_endpoint_url=s3_server.endpoint_url).probe(at, one)

    with pytest.raises(SourceInaccessible, match="no cell of the source was seen"):
        probe()
    put(s3_server, s3_bucket, cells__N50E006=raster)
    with pytest.raises(SourceMissing):
        probe()
    elsewhere = made.model_copy(
        update={"data": cells.model_copy(update={"href": cells.href.replace(s3_bucket, "gone")})}
    )
    with pytest.raises(SourceInaccessible, match="NoSuchBucket") as caught:
        probe(elsewhere, href.replace(s3_bucket, "gone"))
    assert caught.value.exit_code == 4
    assert "endpoint_url" in (caught.value.remedy or "")
    # Other settings, so that no client with the right secret is at hand.
    with pytest.raises(SourceInaccessible, match=r"AccessDenied|403"):
        probe(made.model_copy(update={"anonymous": True, "access": Access(endpoint_url=s3_server.endpoint_url)}))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(SourceInaccessible, match="SignatureDoesNotMatch") as caught:
        probe(made.model_copy(update={"access": Access(endpoint_url=s3_server.endpoint_url, region="eu-west-1")}))
    assert "AWS_SECRET_ACCESS_KEY" in (caught.value.remedy or "")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
    with pytest.raises(SourceInaccessible, match="InvalidAccessKeyId"):
        probe(made.model_copy(update={"access": Access(endpoint_url=s3_server.endpoint_url, region="eu-west-2")}))
    with pytest.raises(ConfigError, match="nobody"):
        probe(made.model_copy(update={"access": Access(endpoint_url=s3_server.endpoint_url, profile="nobody")}))


@pytest.mark.parametrize("status", ["401", "403", "301", "302", "307", "410", "451", "400"])
def test_a_server_that_denies_is_not_the_sea(status, raster, tmp_path):
    with FaultyServer() as server:
        server.serve("N50E006.tif", raster.read_bytes())
        made = source(raster, data=CellTemplate(href=f"{server.url}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif"))
        files = access(tmp_path)
        server.head_faults, server.faults = [status] * 20, [status] * 20
        with pytest.raises(SourceInaccessible) as caught:
            files.probe(f"{server.url}/N00E000.tif", made)
        assert caught.value.exit_code == 4
        assert caught.value.remedy
        server.head_faults, server.faults = [], []
        with pytest.raises(SourceInaccessible, match="no cell of the source was seen"):
            files.probe(f"{server.url}/N00E000.tif", made)
        files = access(tmp_path)
        files.probe(f"{server.url}/N50E006.tif", made)
        with pytest.raises(SourceMissing):
            files.probe(f"{server.url}/N00E000.tif", made)
        server.head_faults, server.faults = [status] * 9, [status] * 9
        with pytest.raises(SourceInaccessible):
            files.probe(f"{server.url}/N00E001.tif", made)


def test_a_list_of_cells_settles_it(raster, tmp_path):
    with FaultyServer() as server:
        server.serve("tileList.txt", b"N50E006\r\nN50E007\n")
        server.serve("N50E006.tif", raster.read_bytes())
        template = CellTemplate(
            href=f"{server.url}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif", cells=f"{server.url}/tileList.txt"
        )
        made = source(raster, data=template)
        files = access(tmp_path)
        with pytest.raises(SourceMissing, match="leaves it out"):
            files.probe(f"{server.url}/N00E000.tif", made)
        with pytest.raises(SourceInaccessible, match="lists a cell that is not there"):
            files.probe(f"{server.url}/N50E007.tif", made)
        asked = server.requests.count("/tileList.txt")
        # S3 answers 403 for absent keys where listing is not allowed: the list knows better.
        server.head_faults, server.faults = ["403"], ["403"]
        with pytest.raises(SourceMissing, match="leaves it out"):
            files.probe(f"{server.url}/N00E001.tif", made)
        assert server.requests.count("/tileList.txt") == asked
        server.objects.pop("tileList.txt")
        with pytest.raises(SourceInaccessible, match="list of existing cells"):
            access(tmp_path).probe(f"{server.url}/N00E000.tif", made)


def test_the_bundled_glo30_names_its_own_server_and_list():
    glo = SourceCatalogue.load().get("glo-30")
    assert glo.access.region == "eu-central-1"
    assert glo.access.endpoint_url is not None
    assert isinstance(glo.data, CellTemplate)
    assert glo.data.cells == "s3://copernicus-dem-30m/tileList.txt"


def test_a_forbidden_source_ends_the_command_with_exit_4(raster, tmp_path):
    with FaultyServer() as server:
        made = source(raster, data=CellTemplate(href=f"{server.url}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif"))
        catalogue = tmp_path / "catalogue.yaml"
        here = source(raster, id="here")
        both = [json.loads(one.model_dump_json(exclude_none=True)) for one in (made, here)]
        catalogue.write_text(yaml.safe_dump({"sources": both}))
        server.head_faults, server.faults = ["403"] * 99, ["403"] * 99
        for command in (["plan"], ["run", "-o", str(tmp_path / "store"), "-w", "1"]):
            done = CliRunner().invoke(app, [*command, "-c", str(catalogue), "-t", TILE])
            assert done.exit_code == 4, done.output
            assert "denies access" in done.output


class KeyEtags(BaseHTTPRequestHandler):
    """An S3 server whose ETags are 32 hexadecimal digits and no MD5, as with SSE-KMS and directory buckets."""

    protocol_version = "HTTP/1.1"
    content = b""
    said = "aws:kms"

    def log_message(self, *_):
        """Be quiet."""

    def do_GET(self):
        data, status = self.content, 200
        etag = hashlib.sha256(b"kms" + self.content).hexdigest()[:32]
        headers = {"ETag": f'"{etag}"'} | ({"x-amz-server-side-encryption": self.said} if self.said else {})
        if asked := self.headers.get("Range"):
            first, last = (int(part) for part in asked.removeprefix("bytes=").split("-"))
            data, status = data[first : last + 1], 206
            headers["Content-Range"] = f"bytes {first}-{first + len(data) - 1}/{len(self.content)}"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_HEAD = do_GET  # noqa: N815


@pytest.mark.parametrize("said", ["aws:kms", "aws:kms:dsse", ""])
def test_an_etag_that_is_no_md5_is_no_fault(said, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "body")
    path = write_heights(tmp_path / "a.tif", HEIGHTS)
    handler = type("Handler", (KeyEtags,), {"content": path.read_bytes(), "said": said})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        fetcher = Fetcher(endpoint_url=f"http://127.0.0.1:{server.server_port}", backoff=QUICK)
        file = fetcher.probe("s3://bucket/a.tif")
        assert fetcher.fetch(file, tmp_path / "whole").read_bytes() == path.read_bytes()
        copy = fetcher.open(file, tmp_path / "scratch")
        with rasterio.open(copy.path) as dataset:
            ensure(copy, 0, 0, 300, 200, dataset.shape)
            np.testing.assert_array_equal(dataset.read(1, window=((0, 200), (0, 300))), HEIGHTS[:200, :300])
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.s3
def test_archives_are_chains(s3_server, s3_bucket, raster, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(raster, "dtm/heights.tif")
    s3_server.client().put_object(Bucket=s3_bucket, Key="a.zip", Body=(tmp_path / "a.zip").read_bytes())
    fetcher = Fetcher(endpoint_url=s3_server.endpoint_url)
    for outer in (f"s3://{s3_bucket}/a.zip", f"file://{tmp_path}/a.zip", str(tmp_path / "a.zip")):
        href = f"zip://dtm/heights.tif::{outer}"
        file = fetcher.probe(href)
        path = fetcher.open(file, tmp_path / "scratch")
        assert path.name == "heights.tif"
        assert path.read_bytes() == raster.read_bytes()
    with pytest.raises(SourceMissing, match="no such member"):
        fetcher.open(fetcher.probe(f"zip://gone.tif::s3://{s3_bucket}/a.zip"), tmp_path / "scratch")


def test_other_file_systems_are_fsspecs(tmp_path):
    path = write_heights(tmp_path / "a.tif", HEIGHTS)
    memory = fsspec.filesystem("memory")
    memory.pipe("/dtm/a.tif", path.read_bytes())
    fetcher = Fetcher(backoff=QUICK)
    assert list(fetcher.list("memory://dtm/*.tif")) == ["memory://dtm/a.tif"]
    file = fetcher.probe("memory://dtm/a.tif")
    copy = fetcher.open(file, tmp_path / "scratch")
    with rasterio.open(copy.path) as dataset:
        ensure(copy, 0, 0, 300, 200, dataset.shape)
        np.testing.assert_array_equal(dataset.read(1, window=((0, 200), (0, 300))), HEIGHTS[:200, :300])
    memory.pipe("/dtm/a.tif", path.read_bytes())  # written again: another identity
    with pytest.raises(SourceChanged):
        ensure(copy, 500, 500, 100, 100, (700, 900))
    with pytest.raises(SourceMissing):
        fetcher.probe("memory://dtm/gone.tif")
    with pytest.raises(InputError):
        fetcher.probe("gopher://a/b.tif")


def test_no_more_bytes_or_requests_than_gdal(tmp_path):
    """The same windows of the same file on the same server, by GDAL's ranges and by ours."""
    path = write_heights(tmp_path / "a.tif", np.random.default_rng(0).normal(500, 20, (2000, 2000)))
    windows = [(300, 400, 700, 500), (900, 400, 700, 500), (300, 900, 700, 500)]
    with FaultyServer() as server:
        href = server.serve("a.tif", path.read_bytes())
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), rasterio.open(f"/vsicurl/{href}") as dataset:
            theirs = [dataset.read(1, window=Window(*window)) for window in windows]
        gdal = (len(server.requests), server.bytes_sent)
        server.requests.clear()
        server.bytes_sent = 0
        fetcher = Fetcher(backoff=QUICK)
        copy = fetcher.open(fetcher.probe(href), tmp_path / "scratch")
        with rasterio.open(copy.path) as dataset:
            for window, expected in zip(windows, theirs, strict=True):
                ensure(copy, *window, dataset.shape)
                np.testing.assert_array_equal(dataset.read(1, window=Window(*window)), expected)
        assert len(server.requests) <= 1.5 * gdal[0]
        assert server.bytes_sent <= 1.05 * gdal[1]


def test_a_file_that_cannot_be_read_in_part_is_named(tmp_path):
    strips = write_heights(tmp_path / "a.tif", HEIGHTS, tiled=False, blockxsize=None, blockysize=700)
    with FaultyServer() as server:
        server.ranges = False
        files = access(tmp_path)
        made = source(strips)
        assert files.note() is None
        files.opened(files.probe(server.serve("a.tif", strips.read_bytes()), made), made)
        assert "fetched whole" in (files.note() or "")


def test_a_plan_counts_all_bytes_of_a_member_of_an_archive(raster, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(raster, "dtm/heights.tif")
    files = access(tmp_path)
    made = source(raster)
    ref = files.probe(f"zip://dtm/heights.tif::file://{tmp_path}/a.zip", made)
    found = FactsReader(made, files).read(ref)
    assert (found.width_px, found.height_px) == (600, 600)
    assert (found.block_width_px, found.block_height_px) == (None, None)


def test_headers_of_a_source_come_from_the_environment(raster, tmp_path, monkeypatch):
    with FaultyServer() as server:
        href = server.serve("a.tif", raster.read_bytes())
        made = source(raster, access=Access(headers={"Authorization": "Bearer ${DTM_TOKEN}"}))
        with pytest.raises(ConfigError, match="DTM_TOKEN"):
            access(tmp_path).probe(href, made)
        monkeypatch.setenv("DTM_TOKEN", "secret")
        assert access(tmp_path).probe(href, made).size_bytes == raster.stat().st_size


def test_a_dead_server_is_unavailable(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "body")
    with pytest.raises(SourceUnavailable):
        Fetcher(backoff=QUICK).probe("http://127.0.0.1:9/a.tif")
    with pytest.raises(SourceUnavailable):
        Fetcher(backoff=QUICK, endpoint_url="http://127.0.0.1:9", anonymous=False).probe("s3://bucket/a.tif")
