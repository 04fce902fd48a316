"""Ground below a surface source: which model, at which pixels, and the map that goes into it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from orograph.pipeline.bare_earth.reader import GroundReader, averaged_px, bare_earth_choice, model_for, stacked
from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.core.raster import HeightPatch
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.land_cover import LandCover
from orograph.pipeline.sources.reader import SourceReader
from orograph.pipeline.sources.redaction import public_ref
from orograph.pipeline.sources.refs import FileRef, SourceRef
from tests.support.made import source, write_source

BOX = (4_210_000.0, 3_010_000.0, 4_212_400.0, 3_012_400.0)


def surface(path: Path, resolution_m: float) -> Source:
    return source(path, id="dsm", resolution_m=resolution_m, surface="DSM")


@pytest.mark.parametrize(
    ("resolution_m", "pixel_size_m", "name"),
    [
        (2.0, 10.0, "bare-earth-2m"),
        (1.0, 10.0, "bare-earth-2m"),
        (1.0, 1.0, None),
        (0.5, 2.0, "bare-earth-2m"),
        (10.0, 10.0, None),
        (30.0, 10.0, None),
        (90.0, 90.0, None),
    ],
)
def test_auto_takes_the_model_trained_at_the_pixels_of_the_source(
    tmp_path: Path, resolution_m: float, pixel_size_m: float, name: str | None
) -> None:
    dsm = surface(tmp_path / "a.tif", resolution_m)
    assert model_for(dsm, "auto", pixel_size_m) == name
    assert model_for(dsm, "none", pixel_size_m) is None
    assert model_for(dsm, "opening", pixel_size_m) == "opening"
    assert model_for(dsm.model_copy(update={"surface": Surface.DTM}), "auto", pixel_size_m) is None


def test_auto_lowers_coarse_surfaces_only_with_a_map(tmp_path: Path) -> None:
    cover = LandCover(path="map.tif", sha256="0" * 64)
    for resolution_m, name in ((30.0, "edges"), (90.0, None), (2.0, "bare-earth-2m")):
        dsm = surface(tmp_path / "a.tif", resolution_m).model_copy(update={"land_cover": cover})
        assert model_for(dsm, "auto", 10.0) == name


def test_a_terrain_model_is_fused_where_pixels_are_coarse(tmp_path: Path) -> None:
    cover = LandCover(path="map.tif", sha256="0" * 64)
    named = surface(tmp_path / "a.tif", 30.0).model_copy(update={"terrain": "model"})
    mapped = named.model_copy(update={"land_cover": cover})
    for setting in ("auto", "fusion"):
        assert model_for(named, setting, 10.0, fused=True) == "fusion"
        assert model_for(mapped, setting, 10.0, fused=True) == "fusion"
        assert model_for(mapped, setting, 10.0) == "edges"
        assert model_for(named, setting, 10.0) is None
    assert model_for(mapped, "edges", 10.0, fused=True) == "edges"
    assert "model is the terrain below it, without" in bare_earth_choice(named, 10.0, fused=True)
    assert "kept" in bare_earth_choice(named, 10.0)


def test_fine_surfaces_are_reduced_before_they_are_averaged(tmp_path: Path) -> None:
    path = write_source(tmp_path / "dsm.tif", "EPSG:3035", BOX, 5)
    with rasterio.open(path, "r+") as dataset:
        heights = dataset.read(1)
        heights[200:204, 200:204] += 15.0
        dataset.write(heights, 1)
    dsm = surface(path, 5.0)
    assert averaged_px("opening", 5.0) == 1
    assert averaged_px("bare-earth-2m", 0.7) == 3
    assert averaged_px("bare-earth-2m", 10.0) is None
    with SourceReader(dsm, [path]) as reader:
        lattice = replace(reader.lattices[0], factor=10)
        top, left, _, _ = lattice.index_bounds
        window = PixelWindow(top + 18, left + 18, 6, 6)
        plain = reader.read(lattice, window.row, window.col, 6, 6)
        heights_m, sigma_m, mask = GroundReader(reader, "opening").read(lattice, window)
        assert sigma_m is not None
        assert mask is not None
        assert heights_m.shape == sigma_m.shape == (6, 6)
        # A house of 20 m is seen at 5 m; averaged to 50 m first, only a mound of 2.4 m would be left.
        lowered = plain - heights_m
        assert lowered.max() > 2.0
        assert (lowered >= 0).all()
        assert (sigma_m[lowered > 1.0] > 0).all()
        # The house covers 4 x 4 of some of the 10 x 10 pixels: a share of each, and nothing where nothing is lowered.
        assert 0.05 < mask.max() <= 1.0
        assert np.array_equal(mask > 0, lowered > 1e-3)
        beyond = GroundReader(reader, "opening").read(lattice, PixelWindow(top - 500, left, 4, 4))
        assert np.isnan(beyond[0]).all()
        assert beyond.sigma_m is None
        assert beyond.lowered is None


def test_a_map_goes_in_and_into_the_run_key(tmp_path: Path) -> None:
    path = write_source(tmp_path / "glo.tif", "EPSG:3035", BOX, 30)
    cover = tmp_path / "map.tif"
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": 240, "height": 240, "crs": "EPSG:3035"}
    with rasterio.open(cover, "w", transform=Affine(10, 0, BOX[0], 0, -10, BOX[3]), **profile) as dataset:
        dataset.write(np.full((240, 240), 10, np.uint8), 1)
    dsm = surface(path, 30.0)
    with_map = dsm.model_copy(update={"land_cover": LandCover.of(cover)})
    with SourceReader(dsm, [path]) as reader:
        lattice = reader.lattices[0]
        top, left, _, _ = lattice.index_bounds
        window = PixelWindow(top + 20, left + 20, 16, 16)
        blind = GroundReader(reader, "bare-earth-30m").read(lattice, window)
        told = GroundReader(reader, "bare-earth-30m", with_map.land_cover).read(lattice, window)
        assert blind.heights_m.shape == told.heights_m.shape
        assert (told.heights_m <= blind.heights_m + 1e-4).mean() > 0.9

    def key(described: Source) -> str:
        ref = SourceRef(source=described, files=(FileRef(href=str(path), etag="sha256:0", size_bytes=1),))
        return Job(Tile.parse("E4200N3000"), (ref,), ProcessingSettings()).run_key

    moved = LandCover(path="elsewhere.tif", sha256=LandCover.of(cover).sha256)
    assert key(dsm) != key(with_map)
    shown = public_ref(SourceRef(source=with_map, files=(FileRef(href=str(path), etag="sha256:0", size_bytes=1),)))
    assert shown.source.land_cover == LandCover(path="map.tif", sha256=moved.sha256)
    assert key(with_map) == key(dsm.model_copy(update={"land_cover": moved}))


def test_windows_of_a_grid_of_degrees_agree_also_where_their_shape_changes(tmp_path: Path) -> None:
    second = 1.0 / 3600.0
    rng = np.random.default_rng(5)
    heights = (300 + 40 * rng.random((700, 400))).astype(np.float32)
    heights[300:330, 150:190] += 30.0
    path = tmp_path / "glo.tif"
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 700, "width": 400, "crs": "EPSG:4326"}
    # Half of it lies north of 50 degrees, where one pair of degrees ends and another begins.
    with rasterio.open(
        path, "w", transform=Affine(second, 0, 10.0, 0, -second, 50.0 + 350 * second), **profile
    ) as dataset:
        dataset.write(heights, 1)
    dsm = surface(path, 30.0).model_copy(update={"horizontal_crs": "EPSG:4326"})
    with SourceReader(dsm, [path]) as reader:
        lattice = reader.lattices[0]
        top, left, _, _ = lattice.index_bounds
        ground = GroundReader(reader, "bare-earth-30m")
        whole = ground.read(lattice, PixelWindow(top + 250, left + 100, 200, 160))
        part = ground.read(lattice, PixelWindow(top + 330, left + 140, 60, 50))
        for a, b in zip(whole, part, strict=True):
            assert a is not None
            assert b is not None
            assert np.array_equal(a[80:140, 40:90], b)
        assert whole.lowered is not None
        assert whole.lowered.any()


def test_windows_are_stacked_with_what_some_of_them_have() -> None:
    one, two = np.ones((2, 3), np.float32), np.full((1, 3), np.nan, np.float32)
    assert stacked([HeightPatch(one)]).heights_m is one
    both = stacked([HeightPatch(one, sigma_m=2 * one), HeightPatch(two)])
    assert both.heights_m.shape == (3, 3)
    assert both.lowered is None
    assert both.sigma_m is not None
    assert both.sigma_m.tolist() == [[2.0] * 3, [2.0] * 3, [0.0] * 3]
    assert stacked([HeightPatch(two), HeightPatch(two)]).sigma_m is None


def test_a_void_beside_a_house_takes_nothing_from_its_spread(tmp_path: Path) -> None:
    path = write_source(tmp_path / "dsm.tif", "EPSG:3035", BOX, 5)
    with rasterio.open(path, "r+") as dataset:
        heights = dataset.read(1)
        heights[200:210, 200:210] += 15.0
        # Half of each pair of columns inside the house has no height.
        heights[202:208, 203:208:2] = -9999.0
        dataset.write(heights, 1)
    dsm = surface(path, 5.0)
    with SourceReader(dsm, [path]) as reader:
        made = {}
        for factor in (1, 2):
            lattice = replace(reader.lattices[0], factor=factor)
            top, left, _, _ = lattice.index_bounds
            inside = PixelWindow(top + 202 // factor, left + 202 // factor, 6 // factor, 6 // factor)
            made[factor] = GroundReader(reader, "opening").read(lattice, inside)
    fine, mean = made[1], made[2]
    assert fine.sigma_m is not None
    assert mean.sigma_m is not None
    assert mean.lowered is not None
    assert np.isnan(fine.sigma_m[:, 1::2]).all()
    assert np.isfinite(mean.heights_m).all()
    whole = fine.sigma_m[:, 0::2].reshape(3, 2, 3).mean(axis=1)
    np.testing.assert_allclose(mean.sigma_m, whole, rtol=1e-6)
    np.testing.assert_array_equal(mean.lowered, 1.0)
