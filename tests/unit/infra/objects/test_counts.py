"""Counts of what reading a source cost."""

from concurrent.futures import ThreadPoolExecutor

from orograph.infra.objects.counts import ReadCounts, summed


def test_threads_lose_no_count():
    counts = ReadCounts()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: counts.add(requests=1, fetched=2, needed=3, hits=4, cached=5), range(200)))
    assert counts.to_dict() == {
        "requests": 200, "bytes_fetched": 400, "bytes_needed": 600, "cache_hits": 800, "cache_bytes": 1000,
    }  # fmt: skip


def test_sums_name_every_count():
    assert summed([{"requests": 1}, {"requests": 2, "cache_hits": 3}])["requests"] == 3
    assert set(summed([])) == set(ReadCounts().to_dict())
