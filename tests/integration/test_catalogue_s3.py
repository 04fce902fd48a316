"""The catalogue on a real S3 server: published by racing workers, read by the clients people use."""

from __future__ import annotations

import json
import threading

import pystac
import pytest
from pystac_client import Client

from orograph.infra.stores.open import open_store
from orograph.stac.documents.schemas import SchemaLibrary
from orograph.stac.publishing.publish import present_run_key, publish_item, rebuild
from orograph.stac.serving.api import search_app
from orograph.stac.verify import verify
from tests.support.catalogue_world import cog_bytes, hillshade_bytes, make_manifest
from tests.support.live import live
from tests.support.reader import read_elsewhere

pytestmark = pytest.mark.s3

TILES = ("E4300N2650", "E4350N2650", "E3900N3100")


@pytest.fixture(scope="module")
def bucket(s3_server):
    s3_server.client().create_bucket(Bucket="catalogue")
    return "catalogue"


@pytest.fixture(scope="module")
def store(s3_server, bucket):
    store = open_store(f"s3://{bucket}/eu", endpoint_url=s3_server.endpoint_url)
    for tile in TILES:
        publish_item(store, make_manifest(store, tile, hillshade=hillshade_bytes(512)))
    rebuild(store)
    return store


def test_racing_workers_leave_one_sound_state(s3_server, bucket, shared):
    place = open_store(f"s3://{bucket}/race", endpoint_url=s3_server.endpoint_url)
    manifests = [make_manifest(place, seed=seed) for seed in range(4)]
    start, faults = threading.Barrier(5), []

    def work(job):
        try:
            start.wait()
            job()
        except Exception as error:  # noqa: BLE001 - the test's own report
            faults.append(error)

    jobs = [lambda m=m: publish_item(place, m) for m in manifests] + [lambda: rebuild(place)]
    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    rebuild(place)
    assert present_run_key(place, "dem-eu", "E4300N2650") in {m.run_key for m in manifests}
    report = verify(place, SchemaLibrary(shared("stac-schemas")))
    # Runs that lost and were not the winner's predecessor are finished, but nothing shows them.
    assert [problem for problem in report.problems if problem.severity == "error"] == []


def test_catalogue_in_a_bucket_is_sound(store, shared):
    report = verify(store, SchemaLibrary(shared("stac-schemas")))
    assert report.problems == []
    assert report.cogs == 2 * len(TILES)


def test_pystac_client_searches_and_rasterio_reads(store, s3_server, bucket, tmp_path):
    with live(search_app(store)) as url:
        client = Client.open(url)
        items = list(client.search(bbox=[9.8, 47.0, 10.0, 47.2], collections=["dem-eu"]).items())
        assert [item.id for item in items] == ["E4300N2650"]
        assert {item.id for item in client.search(limit=2).items()} == set(TILES)
        filtered = client.search(filter="\"dem:surface\" = 'DTM' AND id LIKE 'E43%'", filter_lang="cql2-text")
        assert {item.id for item in filtered.items()} == set(TILES[:2])
        href = items[0].assets["dem"].href
        through_api = read_elsewhere(href)
    key = href.split("/files/", 1)[1]
    s3 = {"AWS_S3_ENDPOINT": s3_server.endpoint_url.removeprefix("http://"), "AWS_HTTPS": "NO"}
    direct = read_elsewhere(f"/vsis3/{bucket}/eu/{key}", **s3, AWS_VIRTUAL_HOSTING="FALSE")
    path = tmp_path / "dem.tif"
    path.write_bytes(cog_bytes(0))
    assert through_api["epsg"] == 3035
    assert through_api["sha256"] == direct["sha256"] == read_elsewhere(str(path))["sha256"]


def test_a_public_bucket_is_a_static_catalogue(store, s3_server, bucket):
    """With a read policy, any STAC client walks the bucket from its root over plain HTTP."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{bucket}/eu/stac/*", f"arn:aws:s3:::{bucket}/eu/tiles/*"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3_server.client().put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    catalog = pystac.Catalog.from_file(f"{s3_server.endpoint_url}/{bucket}/eu/stac/catalog.json")
    items = {item.id: item for item in catalog.get_items(recursive=True)}
    assert set(items) == set(TILES)
    item = items["E4300N2650"]
    assert read_elsewhere(item.assets["hillshade"].get_absolute_href())["epsg"] == 3035
    sources = [link for link in item.links if link.rel == "derived_from" and link.media_type == "application/json"]
    assert {pystac.Collection.from_file(link.get_absolute_href()).id for link in sources} == {"be-dtm", "glo-30"}
