"""One client per process and time limit, with a bounded number of connections."""

from orograph.infra.stores.http_client import http_client


def test_a_client_is_shared_and_asks_for_plain_bytes():
    client = http_client(5.0)
    assert http_client(5.0) is client
    assert http_client(6.0) is not client
    assert http_client(5.0, follow_redirects=True).follow_redirects
    assert not client.follow_redirects
    assert client.headers["accept-encoding"] == "identity"
    assert client.timeout.read == 5.0
