"""Status documents and links as the caller sees the service."""

import pytest
from starlette.requests import Request

from orograph.infra.service.job_documents import link, result_links, status_document
from orograph.infra.service.job_records import JobRecord, JobStatus, now

RECORD = JobRecord(id="a" * 32, tile="E4300N2650", run_key="k", created=now(), updated=now(), progress=0.256)


@pytest.fixture
def request_():
    return Request({"type": "http", "scheme": "https", "server": ("h", 443), "path": "/", "root_path": "/dem", "headers": [(b"host", b"h")], "query_string": b""})  # fmt: skip


def test_links_start_with_the_public_address(request_):
    assert link(request_, "self", "/jobs/1", "", tile="a b")["href"] == "https://h/dem/jobs/1?tile=a+b"
    assert "title" not in link(request_, "self", "/jobs/1", "")


def test_results_are_linked_once_there_are_some(request_):
    waiting = status_document(request_, RECORD)
    assert (waiting["progress"], waiting["status"]) == (26, "accepted")
    assert "started" not in waiting
    assert [one["rel"] for one in waiting["links"]] == ["self", "monitor"]
    done = RECORD.model_copy(
        update={"status": JobStatus.SUCCESSFUL, "item_key": "stac/i.json", "manifest_key": "m.json"}
    )
    rels = [one["rel"] for one in status_document(request_, done)["links"]]
    assert rels[2:] == ["http://www.opengis.net/def/rel/ogc/1.0/results", "item", "describedby"]
    assert list(result_links(request_, done, ("manifest",))) == ["manifest"]
