"""Small documents from paths and servers, with typed errors and patience for passing faults."""

import httpx
import pytest

from orograph.infra.runs import documents
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.errors import SourceMissing, SourceUnavailable

QUICK = Backoff(attempts=3, first_s=0.0)


@pytest.fixture
def server(monkeypatch):
    answers, asked = [], []

    def answer(request):
        asked.append(str(request.url))
        return answers.pop(0)

    client = httpx.Client(transport=httpx.MockTransport(answer), follow_redirects=True)
    monkeypatch.setattr(documents, "http_client", lambda **_: client)
    return answers, asked


def test_a_passing_fault_is_tried_again_and_a_redirect_followed(server):
    answers, asked = server
    answers += [
        httpx.Response(503),
        httpx.Response(302, headers={"location": "https://host/b"}),
        httpx.Response(200, content=b"x"),
    ]
    assert documents.read_document("https://host/a", backoff=QUICK) == b"x"
    assert asked == ["https://host/a", "https://host/a", "https://host/b"]


@pytest.mark.parametrize(
    ("status", "error", "tries"), [(404, SourceMissing, 1), (403, SourceMissing, 1), (429, SourceUnavailable, 3)]
)
def test_other_answers_are_errors_that_name_the_document(server, status, error, tries):
    answers, asked = server
    answers += [httpx.Response(status)] * tries
    with pytest.raises(error) as caught:
        documents.read_document("https://host/a", backoff=QUICK)
    assert caught.value.source == "https://host/a"
    assert len(asked) == tries


def test_paths_are_read_from_disk(tmp_path):
    (tmp_path / "a.json").write_bytes(b"{}")
    assert documents.read_document(str(tmp_path / "a.json")) == b"{}"
    with pytest.raises(SourceMissing):
        documents.read_document(str(tmp_path / "none.json"))
