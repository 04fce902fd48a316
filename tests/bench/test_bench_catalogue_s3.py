"""Requests that reading a published tile from S3 costs: 64 random windows of 512 pixels.

    python -m pytest tests/bench/test_bench_catalogue_s3.py -m bench -s

Counted by a proxy in front of a real S3 server (radosgw); requests repeat on a busy machine where seconds do not.
"""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile

from orograph.infra.engines.environment import GDAL_ENV
from orograph.infra.stores.open import open_store
from orograph.stac.publishing.publish import publish_item, rebuild
from tests.support.catalogue_world import make_manifest
from tests.support.counting_proxy import CountingProxy
from tests.support.reader import read_elsewhere

pytestmark = [pytest.mark.bench, pytest.mark.s3]

SIZE, WINDOWS = 5000, 64


def relief_cog() -> bytes:
    """Fractal relief on a whole tile at 10 m, as the product is written: ZSTD, predictor 3, blocks of 512."""
    rng = np.random.default_rng(7)
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :]) + 1e-4
    noise = rng.normal(size=frequency.shape) + 1j * rng.normal(size=frequency.shape)
    heights = np.fft.irfft2(noise / frequency**2.2, s=(SIZE, SIZE))
    heights = (800 + 300 * heights / heights.std()).astype(np.float32)
    profile = {"driver": "COG", "width": SIZE, "height": SIZE, "count": 1, "dtype": "float32", "blocksize": 512}
    transform = rasterio.Affine(10, 0, 4_300_000, 0, -10, 2_700_000)
    with MemoryFile() as file:
        with file.open(**profile, crs="EPSG:3035", transform=transform, compress="zstd", predictor="yes") as dataset:
            dataset.write(heights, 1)
        return bytes(file.getbuffer())


def test_requests_per_window(s3_server, s3_bucket, tmp_path):
    store = open_store(f"s3://{s3_bucket}", endpoint_url=s3_server.endpoint_url)
    data = relief_cog()
    manifest = make_manifest(store, hillshade=data)
    publish_item(store, manifest)
    rebuild(store)
    (tmp_path / "local.tif").write_bytes(data)
    rng = np.random.default_rng(1)
    windows = [[int(row), int(col), 512] for row, col in rng.integers(0, SIZE - 512, (WINDOWS, 2))]
    local = read_elsewhere(str(tmp_path / "local.tif"), windows)
    per_window = {}
    with CountingProxy(s3_server.endpoint_url) as proxy:
        href = f"/vsis3/{s3_bucket}/{manifest.asset('hillshade').key}"
        s3 = {
            "AWS_S3_ENDPOINT": proxy.url.removeprefix("http://"),
            "AWS_HTTPS": "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
        }
        defaults = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
        for name, env in (("rasterio", defaults), ("workers' GDAL settings", dict(GDAL_ENV))):
            proxy.reset()
            answer = read_elsewhere(href, windows, **s3, **env)
            assert answer["sha256"] == local["sha256"]
            per_window[name] = proxy.counts["GET"] / WINDOWS
            print(
                f"\n{name}: {per_window[name]:.2f} GETs and {proxy.counts['HEAD'] / WINDOWS:.2f} HEADs a window, "
                f"{proxy.bytes_sent / 1e6:.0f} MB of {len(data) / 1e6:.0f}"
            )
    assert per_window["rasterio"] <= 1.0
