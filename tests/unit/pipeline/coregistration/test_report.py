"""Aligning files: products, report, and typed errors."""

import json

import numpy as np
import pytest

from orograph.pipeline.core.progress import listening
from orograph.pipeline.coregistration.report import (
    CoregistrationRequest,
    Stopwatch,
    coregister_files,
    peak_bytes,
)
from orograph.pipeline.errors import SourceMissing
from tests.support.pairs import AFFINE, PIXEL_M, relief_pair
from tests.support.tiffs import write_heights


@pytest.fixture
def pair(tmp_path):
    reference, moving = relief_pair(east_px=0.6, north_px=-0.3, up_m=2.0, noise_m=0.1)
    return (
        write_heights(tmp_path / "reference.tif", reference.heights_m, transform=AFFINE),
        write_heights(tmp_path / "raster.tif", moving.heights_m, transform=AFFINE),
    )


def test_products_and_report_of_an_alignment(pair, tmp_path):
    request = CoregistrationRequest(method="nuth-kaab", check=False, pictures=False, threads=1, same_heights=True)
    steps = []
    with listening(lambda step, done, _due: steps.append((step, done))):
        outcome = coregister_files(*pair, tmp_path / "out", request)
    report = outcome.report
    assert report["status"] == "converged"
    assert report["shift_m"]["east"] == pytest.approx(0.6 * PIXEL_M, abs=0.1)
    assert report["shift_m"]["up"] == pytest.approx(2.0, abs=0.1)
    assert report["nmad_m"]["after"] < report["nmad_m"]["before"]
    assert report["inputs"] == {"reference": "reference.tif", "raster": "raster.tif"}
    assert report["written"]
    assert {"aligned.tif", "field.tif"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert json.dumps(report, allow_nan=False)
    assert [done for _, done in steps] == sorted(done for _, done in steps)


def test_rasters_without_common_heights_write_a_report_only(pair, tmp_path):
    void = write_heights(tmp_path / "void.tif", np.full((120, 120), -9999.0), transform=AFFINE)
    request = CoregistrationRequest(method="nuth-kaab", check=False, pictures=False, threads=1, same_heights=True)
    out = tmp_path / "out"
    out.mkdir()
    (out / "aligned.tif").write_bytes(b"of an earlier run")
    report = coregister_files(pair[0], void, out, request).report
    assert report["status"] == "too_few"
    assert not report["written"]
    assert not (out / "aligned.tif").exists()


def test_a_missing_file_is_a_typed_error(pair, tmp_path):
    with pytest.raises(SourceMissing, match=r"none\.tif"):
        coregister_files(pair[0], tmp_path / "none.tif", tmp_path / "out")


def test_a_stopwatch_keeps_wall_and_cpu_seconds_by_step():
    watch = Stopwatch()
    watch.lap("read")
    watch.lap("other")
    assert list(watch.seconds) == ["read", "other"]
    assert all(part["wall"] >= 0 and part["cpu"] >= 0 for part in watch.seconds.values())


def test_memory_grows_by_sixteen_bytes_per_pixel():
    assert peak_bytes((1000, 1000)) - peak_bytes((0, 0)) == 16_000_000
