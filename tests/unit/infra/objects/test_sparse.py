"""Sparse copies of remote rasters: right pixels for every codec, few bytes, and no void for a block that did not come."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from orograph.infra.objects.cache import NodeCache
from orograph.infra.objects.sparse import SparseCopy, merged_runs
from orograph.infra.objects.sparse import Window as Ahead
from orograph.infra.runs.fetch import Fetcher
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.errors import OrographError, SourceChanged, SourceCorrupt, SourceInaccessible, SourceUnavailable
from orograph.pipeline.sources.partial import ensure, path_of
from orograph.pipeline.sources.reader import SourceReader
from tests.support.faulty_http import FaultyServer
from tests.support.made import source, write_source
from tests.support.tiffs import write_heights

QUICK = Backoff(attempts=3, first_s=0.001, longest_s=0.002)
CODECS = {
    "none": {"compress": None, "predictor": None},
    "deflate-2": {"compress": "deflate", "predictor": 2},
    "deflate-3": {"compress": "deflate", "predictor": 3},
    "zstd": {"compress": "zstd"},
    "lzw": {"compress": "lzw"},
    "packbits": {"compress": "packbits", "predictor": None},
    "lerc": {"compress": "lerc", "predictor": None},
    "lerc-zstd": {"compress": "lerc_zstd", "predictor": None, "MAX_Z_ERROR": 0.001},
    "lerc-deflate": {"compress": "lerc_deflate", "predictor": None},
    "strips": {"tiled": False, "blockxsize": None, "blockysize": 8},
    "big-endian": {"ENDIANNESS": "BIG"},
    "bigtiff": {"BIGTIFF": "YES"},
    "sparse": {"SPARSE_OK": "TRUE"},
}


@pytest.fixture
def server():
    with FaultyServer() as running:
        yield running


def heights(shape=(700, 900), seed=0):
    made = np.random.default_rng(seed).normal(500, 20, shape).astype(np.float32)
    made[300:430, 250:520] = -9999.0
    return made


def read(copy, col, row, width, height):
    with rasterio.open(copy.path) as dataset:
        ensure(copy, col, row, width, height, dataset.shape)
        return dataset.read(1, window=Window(col, row, width, height))


def opened(server, path, folder, cache=None, backoff=QUICK):
    fetcher = Fetcher(backoff=backoff, read_timeout_s=1.0, cache=cache)
    copy = fetcher.open(fetcher.probe(server.serve("a.tif", path.read_bytes())), folder)
    assert isinstance(copy, SparseCopy)
    return fetcher, copy


@pytest.mark.parametrize("codec", CODECS)
def test_windows_read_as_those_of_the_whole_file(codec, server, tmp_path):
    path = write_heights(tmp_path / "made.tif", heights(), **CODECS[codec])
    fetcher, copy = opened(server, path, tmp_path / "scratch")
    generator = np.random.default_rng(2)
    with rasterio.open(path) as whole:
        for _ in range(6):
            width, height = (int(side) for side in generator.integers(1, 200, 2))
            col, row = int(generator.integers(0, 900 - width)), int(generator.integers(0, 700 - height))
            window = Window(col, row, width, height)
            np.testing.assert_array_equal(read(copy, col, row, width, height), whole.read(1, window=window))
    assert fetcher.counts.bytes_fetched < 1.3 * fetcher.counts.bytes_needed


def test_only_touched_blocks_come(server, tmp_path):
    path = write_heights(tmp_path / "made.tif", heights((2000, 2000)))
    fetcher, copy = opened(server, path, tmp_path / "scratch")
    sent = server.bytes_sent
    read(copy, 10, 10, 100, 100)
    assert server.bytes_sent - sent == copy.index.levels[0].counts[0]
    read(copy, 20, 20, 50, 50)
    assert server.bytes_sent - sent == copy.index.levels[0].counts[0]
    assert copy.path.stat().st_size == path.stat().st_size
    assert copy.path.stat().st_blocks * 512 < 0.1 * path.stat().st_size
    assert fetcher.counts.bytes_fetched < 0.05 * path.stat().st_size


def test_a_block_that_does_not_come_is_an_error_and_not_a_void(server, tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_010_000.0, 3_010_000.0, 4_016_000.0, 3_016_000.0), 10)
    _, copy = opened(server, path, tmp_path / "scratch")
    with SourceReader(source(path), [copy]) as reader:
        lattice = reader.lattices[0]
        top, left, _, _ = lattice.index_bounds
        server.faults = ["500"] * 50
        with pytest.raises(SourceUnavailable):
            reader.read(lattice, top, left, 100, 100)
        server.faults = []
        with SourceReader(source(path), [path]) as whole:
            np.testing.assert_array_equal(
                reader.read(lattice, top, left, 100, 100), whole.read(whole.lattices[0], top, left, 100, 100)
            )


def test_a_window_named_ahead_comes_at_once(server, tmp_path):
    path = write_heights(tmp_path / "made.tif", heights((1000, 1000)))
    _, copy = opened(server, path, tmp_path / "scratch")
    asked = len(server.requests)
    copy.expect(Ahead(0, 0, 1000, 1000))
    read(copy, 10, 10, 10, 10)
    read(copy, 500, 500, 400, 400)
    assert len(server.requests) - asked == 1


def test_small_and_other_files_come_whole(server, tmp_path):
    fetcher = Fetcher(backoff=QUICK)
    small = write_heights(tmp_path / "small.tif", heights((50, 50)))
    file = fetcher.probe(server.serve("small.tif", small.read_bytes()))
    assert fetcher.open(file, tmp_path / "scratch").read_bytes() == small.read_bytes()
    assert len(server.requests) == 1
    page = fetcher.probe(server.serve("page.tif", b"<html>" + b" " * 200_000))
    with pytest.raises(SourceCorrupt, match="HTML"):
        fetcher.open(page, tmp_path / "scratch")


def test_a_server_without_ranges_sends_the_whole_once(server, tmp_path):
    path = write_heights(tmp_path / "made.tif", heights())
    server.ranges = False
    cache = NodeCache(tmp_path / "cache", 2**30)
    fetcher = Fetcher(backoff=QUICK, cache=cache)
    file = fetcher.probe(server.serve("a.tif", path.read_bytes()))
    assert fetcher.open(file, tmp_path / "one").read_bytes() == path.read_bytes()
    sent = server.bytes_sent
    assert fetcher.open(file, tmp_path / "two").read_bytes() == path.read_bytes()
    assert server.bytes_sent - sent <= path.stat().st_size  # the answer to the first range, broken off


HEALED = {"500", "503", "429", "drop", "truncate", "short", "shifted", "whole"}
LASTING = {
    "etag": SourceChanged,
    "412": SourceChanged,
    "416": SourceChanged,
    "401": SourceInaccessible,
    "403": SourceInaccessible,
    "302": SourceInaccessible,
    "410": SourceInaccessible,
}


def injections(count):
    generator = np.random.default_rng(7)
    faults = [*sorted(HEALED | set(LASTING)), "swap"]
    return [(faults[number % len(faults)], int(generator.integers(0, 2**31))) for number in range(count)]


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_no_injected_fault_makes_a_wrong_height(count, server, tmp_path):
    """A fault at a random request of a read: healed with the right pixels, or a typed error; never other pixels."""
    path = write_heights(tmp_path / "made.tif", heights())
    with rasterio.open(path) as whole:
        right = whole.read(1)
    outcomes = {"healed": 0, "typed": 0}
    for number, (fault, seed) in enumerate(injections(count)):
        generator = np.random.default_rng(seed)
        lasts = bool(generator.integers(0, 2))
        server.faults = [""] * int(generator.integers(0, 3)) + [fault] * (99 if lasts else 1)
        outcome = _outcome(server, path, tmp_path / f"scratch{number}", generator, right)
        was_met = 0 < len([one for one in server.faults if one]) < 99 if lasts else not server.faults
        if was_met and fault in LASTING:
            assert isinstance(outcome, LASTING[fault]), (fault, outcome)
        elif outcome is not None:
            assert lasts or fault in {"swap", *LASTING}, (fault, outcome)
        outcomes["healed" if outcome is None else "typed"] += 1
    assert min(outcomes.values()) > count / 5, outcomes


def _outcome(server, path, folder, generator, right):
    """The typed error of reading four windows; None where all of their pixels are right."""
    fetcher = Fetcher(backoff=QUICK, read_timeout_s=1.0)
    try:
        raster = fetcher.open(fetcher.probe(server.serve("a.tif", path.read_bytes())), folder)
        for _ in range(4):
            col, row = int(generator.integers(0, 700)), int(generator.integers(0, 500))
            with rasterio.open(path_of(raster)) as dataset:
                ensure(raster, col, row, 200, 200, dataset.shape)
                pixels = dataset.read(1, window=Window(col, row, 200, 200))
            np.testing.assert_array_equal(pixels, right[row : row + 200, col : col + 200])
    except OrographError as error:
        return error
    return None


def test_ranges_are_shared_by_the_node(server, tmp_path):
    path = write_heights(tmp_path / "made.tif", heights((1000, 1000)))
    cache = NodeCache(tmp_path / "cache", 2**30)
    _, first = opened(server, path, tmp_path / "one", cache)
    pixels = read(first, 0, 0, 1000, 1000)
    asked = len(server.requests)
    second_fetcher, second = opened(server, path, tmp_path / "two", cache)
    np.testing.assert_array_equal(read(second, 0, 0, 1000, 1000), pixels)
    assert len(server.requests) == asked
    assert second_fetcher.counts.bytes_fetched == 0
    assert second_fetcher.counts.cache_hits > 64


def test_workers_at_the_same_blocks_fetch_them_once(server, tmp_path):
    path = write_heights(tmp_path / "made.tif", heights((1000, 1000)))
    href = server.serve("a.tif", path.read_bytes())
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        sums = pool.starmap(_worker, [(href, tmp_path / str(number), tmp_path / "cache") for number in range(2)])
    assert sums[0] == sums[1]
    assert server.bytes_sent < 1.1 * path.stat().st_size


def test_threads_at_the_same_blocks_fetch_them_once(server, tmp_path):
    path = write_heights(tmp_path / "made.tif", heights((1000, 1000)))
    href = server.serve("a.tif", path.read_bytes())
    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(lambda n: _worker(href, tmp_path / str(n), tmp_path / "cache"), range(4)))
    assert len(set(sums)) == 1
    assert server.bytes_sent < 1.1 * path.stat().st_size


def _worker(href, folder, cache):
    fetcher = Fetcher(backoff=QUICK, cache=NodeCache(cache, 2**30))
    copy = fetcher.open(fetcher.probe(href), folder)
    return float(read(copy, 0, 0, 1000, 1000).sum())


def test_another_version_is_another_entry(server, tmp_path):
    cache = NodeCache(tmp_path / "cache", 2**30)
    for seed in (1, 2):
        path = write_heights(tmp_path / "made.tif", heights(seed=seed))
        _, copy = opened(server, path, tmp_path / str(seed), cache)
        with rasterio.open(path) as whole:
            np.testing.assert_array_equal(read(copy, 0, 0, 900, 700), whole.read(1))


def test_gaps_are_read_only_where_they_are_small():
    assert [len(run) for run in merged_runs([(0, 1000), (1008, 1000), (900_000, 1000)])] == [2, 1]
    assert len(merged_runs([(number * 2**20, 2**20) for number in range(40)])) == 3
