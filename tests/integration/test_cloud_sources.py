"""Sources in Google's and Azure's object stores, read through their own packages from servers that imitate them."""

from __future__ import annotations

import fsspec
import numpy as np
import pytest
import rasterio

from orograph.infra.objects.sparse import SparseCopy
from orograph.infra.runs.source_access import SourceAccess
from orograph.infra.stores.open import open_store
from orograph.pipeline.errors import ConfigError, SourceChanged, SourceInaccessible, SourceMissing
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.sources.catalogue import Access, CellTemplate, Files
from orograph.pipeline.sources.partial import ensure
from tests.support import cloud_emulators
from tests.support.faulty_http import FaultyServer
from tests.support.made import source
from tests.support.tiffs import write_heights

HEIGHTS = np.random.default_rng(0).normal(500, 20, (700, 900)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["gs", "abfs"])
def test_blocks_of_a_cloud_object_are_read_by_range_and_pinned(protocol, tmp_path, monkeypatch):
    if cloud_emulators.command_of(protocol) is None:
        pytest.skip(f"no emulator of {protocol}:// is installed (gcp-storage-emulator of PyPI, azurite of npm)")
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    path = write_heights(tmp_path / "a.tif", HEIGHTS)
    with cloud_emulators.running(protocol) as options:
        cloud = fsspec.filesystem(protocol, **options)
        cloud.mkdir("dtm")
        for name in ("a.tif", "b.tif", "deep/c.tif"):
            cloud.pipe_file(f"dtm/x/{name}", path.read_bytes())
        pattern = f"{protocol}://dtm/x/*.tif"
        made = source(path, data=Files(hrefs=(pattern,)), access=Access(options=options))
        files = SourceAccess(RunSettings(cache_mb=0), tmp_path / "copies")
        assert files.listed(pattern, made) == [f"{protocol}://dtm/x/{name}.tif" for name in "ab"]
        copy = files.opened(files.probe(f"{protocol}://dtm/x/a.tif", made), made)
        assert isinstance(copy, SparseCopy)
        with rasterio.open(copy.path) as dataset:
            ensure(copy, 0, 0, 300, 200, dataset.shape)
            np.testing.assert_array_equal(dataset.read(1, window=((0, 200), (0, 300))), HEIGHTS[:200, :300])
        assert files.counts()[made.id]["bytes_fetched"] < path.stat().st_size / 3
        cloud.pipe_file("dtm/x/a.tif", path.read_bytes()[:-1] + b"x")
        with pytest.raises(SourceChanged):
            ensure(copy, 500, 500, 100, 100, (700, 900))
        with pytest.raises(SourceMissing):
            files.probe(f"{protocol}://dtm/x/gone.tif", made)


@pytest.mark.slow
@pytest.mark.parametrize("status", ["401", "403", "410"])
@pytest.mark.parametrize("protocol", ["gs", "abfs"])
def test_a_cloud_server_that_denies_is_not_the_sea(protocol, status, tmp_path, monkeypatch):
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    cells = CellTemplate(href=f"{protocol}://dtm{status}/{{ns}}{{lat:02d}}{{ew}}{{lon:03d}}.tif", missing_is_void=True)
    with FaultyServer() as server:
        server.faults, server.head_faults = [status] * 20, [status] * 20
        made = source(tmp_path, data=cells, access=Access(options=cloud_emulators.options_of(protocol, server.url)))
        with pytest.raises(SourceInaccessible, match="denies access"):
            SourceAccess(RunSettings(cache_mb=0), tmp_path).probe(f"{protocol}://dtm{status}/N47E010.tif", made)


@pytest.mark.parametrize("url", ["gs://bucket/store", "abfs://container/store", "az://container/store"])
def test_a_store_in_these_is_rejected_before_anything_is_written(url):
    with pytest.raises(ConfigError, match="no store for") as caught:
        open_store(url)
    assert "s3://" in caught.value.remedy


@pytest.mark.parametrize(("protocol", "extra"), [("gs", "gcs"), ("abfs", "azure")])
def test_a_missing_package_names_its_extra(protocol, extra, tmp_path, monkeypatch):
    def missing(*_: object, **__: object) -> None:
        raise ImportError("no such package")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    href = f"{protocol}://bucket/a.tif"
    made = source(tmp_path, data=Files(hrefs=(href,)))
    with pytest.raises(ConfigError) as caught:
        SourceAccess(RunSettings(cache_mb=0), tmp_path).probe(href, made)
    assert f"orograph[{extra}]" in caught.value.remedy
