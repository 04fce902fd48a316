"""Rasters that people name by mistake: each is refused with a sentence, by every command that reads heights."""

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from orograph.infra.cli.app import app
from orograph.infra.cli.common import ending
from orograph.pipeline.errors import BandMismatch, NodataError, SourceCorrupt, SourceGridError, SourceMissing
from orograph.pipeline.exports.inspect import inspect
from orograph.pipeline.learning.superres.dataset import read_heights
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.single_raster import open_heights, opened_heights
from tests.support.made import source

FEET = "EPSG:2263+6360"  # New York's state plane with NAVD88 heights in US survey feet


def written(path, heights, crs="EPSG:3035", **about):
    bands = heights if heights.ndim == 3 else heights[None]
    profile = {"driver": "GTiff", "count": bands.shape[0], "height": bands.shape[1], "width": bands.shape[2]}
    place = from_origin(4_300_000, 2_650_000, 10, 10)
    with rasterio.open(path, "w", dtype=bands.dtype, crs=crs, transform=place, **profile, **about) as file:
        file.write(bands)
    return path


def hills():
    row, column = np.mgrid[:90, :90]
    return (400 + 80 * np.sin(column / 17) + 60 * np.cos(row / 23)).astype(np.float32)


def test_heights_in_metres_are_opened(tmp_path):
    with opened_heights(written(tmp_path / "a.tif", hills(), "EPSG:3035+5621")) as dataset:
        np.testing.assert_array_equal(dataset.read(), hills())


def test_feet_are_converted_by_vertical_crs_and_by_the_bands_unit(tmp_path):
    by_crs = written(tmp_path / "crs.tif", hills(), CRS.from_string(FEET))
    by_unit = written(tmp_path / "unit.tif", hills())
    with rasterio.open(by_unit, "r+") as file:
        file.units = ("ft",)
    with opened_heights(by_crs) as raster:
        np.testing.assert_allclose(raster.read(), hills() * 1200 / 3937, atol=1e-4)
    with opened_heights(by_unit) as raster:
        np.testing.assert_allclose(raster.read(), hills() * 0.3048, atol=1e-4)
    with rasterio.open(by_unit, "r+") as file:
        file.units = ("bananas",)
    with pytest.raises(SourceGridError, match="not a unit of length"), opened_heights(by_unit):
        pass


def test_a_raster_in_feet_on_the_ground_with_heights_in_metres_is_no_mistake(tmp_path):
    with opened_heights(written(tmp_path / "a.tif", hills(), "EPSG:2263")) as dataset:
        np.testing.assert_array_equal(dataset.read(), hills())


def test_what_is_no_raster_of_heights_is_named(tmp_path):
    text, cut = tmp_path / "text.tif", tmp_path / "cut.tif"
    text.write_text("hello")
    whole = written(tmp_path / "whole.tif", np.random.default_rng(1).random((300, 300)))
    cut.write_bytes(whole.read_bytes()[:200_000])
    two = written(tmp_path / "two.tif", np.stack([hills(), hills()]))
    for path, kind in ((tmp_path / "none.tif", SourceMissing), (tmp_path, SourceMissing), (text, SourceCorrupt)):
        with pytest.raises(kind, match=path.name), opened_heights(path):
            pass
    with pytest.raises(BandMismatch, match="gdal_translate -b"), opened_heights(two):
        pass
    with pytest.raises(SourceCorrupt, match="truncated or damaged"), opened_heights(cut) as dataset:
        dataset.read()


def test_an_undeclared_void_is_no_height_to_learn_from(tmp_path):
    heights = hills()
    heights[:20] = -9999
    with pytest.raises(NodataError, match=r"gdal_edit\.py -a_nodata -9999"):
        read_heights(written(tmp_path / "a.tif", heights))
    declared = read_heights(written(tmp_path / "b.tif", heights, nodata=-9999))
    assert np.isnan(declared[:20]).all()
    np.testing.assert_array_equal(declared[20:], heights[20:])


def mistakes(tmp_path):
    good, void = written(tmp_path / "good.tif", hills()), np.full((90, 90), -9999, np.float32)
    text, out = tmp_path / "text.tif", tmp_path / "out.tif"
    text.write_text("hello")
    empty = written(tmp_path / "empty.tif", void, nodata=-9999)
    train = ["train", tmp_path / "run", "--dtm", good, "--steps", "2", "--preset", "XS"]
    return [
        ["superres", text, out, "--model", "keys6"],
        ["superres", empty, out, "--model", "keys6"],
        ["superres", good, good, "--model", "keys6"],
        ["harmonise", good, good, "--from", "EPSG:5621"],
        ["evaluate", text],
        ["evaluate", good, "--reference-m", "2"],
        ["evaluate", good, "--opendem", text],
        [*train, "--dtm", good],
        [*train, "--sites", tmp_path / "none.yaml"],
        [*train, "--start", tmp_path / "none.safetensors", "--patch", "12"],
        [*train, "--start", text, "--patch", "12"],
        [*train, "--teacher", tmp_path / "none.safetensors"],
        ["train", text, "--dtm", good, "--steps", "2", "--patch", "12"],
        ["implicit", "fit", text],
        ["coregister", good, good, "-o", text],
        ["height", "6.02", "50.75", "nan", "--from", "EPSG:5709"],
        *(["catalog", verb, "--store", tmp_path / "none"] for verb in ("items", "publish", "verify", "browse")),
        ["export", "--store", tmp_path / "none"],
        ["submit", "--", "fly"],
        ["run", "--engine", "kubernetes"],
        ["run", "--workers", "many"],
        ["plan", "--data", f"de-nw-dgm1={tmp_path}/none/*.tif", "--area", "6.0,51.1,6.1,51.2"],
        ["plan", "--data", f"de-nw-dgm1={text}", "--area", "6.0,51.1,6.1,51.2"],
    ]


@pytest.mark.parametrize("number", range(26))
def test_a_mistake_ends_in_a_sentence_and_never_in_a_traceback(number, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("sys.argv", ["orograph", *map(str, mistakes(tmp_path)[number])])
    code = ending(lambda: app(standalone_mode=True))
    told = capfd.readouterr().err.strip().splitlines()
    assert code in {1, 2, 4}
    assert told
    assert "Traceback" not in "\n".join(told)
    assert ": " in told[-1]
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("delivered", [False, True])
def test_a_zone_number_in_front_of_the_eastings_is_named(delivered, tmp_path, shared):
    if delivered:
        path = shared("cases/input/18-aoi-messages/zone_prefix.tif")
    else:
        path = written(tmp_path / "a.tif", hills(), "EPSG:25832")
        with rasterio.open(path, "r+") as file:
            file.transform = from_origin(32_569_160, 5_650_000, 10, 10)
    with rasterio.open(path) as file:
        declared = source(path, horizontal_crs="EPSG:25832", resolution_m=file.transform.a)
    words = r"zone number 32 in front of the eastings\? use the CRS that has it \(EPSG:4647"
    with pytest.raises(SourceGridError, match=words):
        read_header(path, declared)
    with pytest.raises(SourceGridError, match=words):
        open_heights(path)
    (fault,) = (check.found for check in inspect(path).checks if check.name == "facts agree")
    assert "outside EPSG:25832" in fault
