"""Scenes of images and heights, from any pair of rasters and from the ISPRS layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orograph.pipeline.errors import (
    BandMismatch,
    NoOverlap,
    SourceCorrupt,
    SourceMissing,
)
from orograph.pipeline.learning.image_heights.data import (
    Benchmark,
    image_scene,
    isprs_scene,
    isprs_tiles,
    split_tiles,
    surface_scene,
)
from tests.support.image_scenes import write


def test_pairs_on_different_grids_meet(tmp_path: Path) -> None:
    image = write(tmp_path / "i.tif", np.full((4, 60, 80), 128, np.uint8), 1.0)
    y, x = np.mgrid[0:30, 0:40].astype(np.float32)
    heights = write(tmp_path / "h.tif", 10 * x, 2.0)
    pair = image_scene(image, heights, 4)
    assert pair.heights_m.shape == (60, 80)
    assert pair.image.max() == pytest.approx(128 / 255)
    assert pair.heights_m[30, 41] - pair.heights_m[30, 21] == pytest.approx(100, abs=1e-3)
    with pytest.raises(BandMismatch, match="4 bands, not 3"):
        image_scene(image, heights, 3)
    with pytest.raises(BandMismatch, match="heights have one"):
        image_scene(image, image)
    with pytest.raises(NoOverlap, match="does not overlap"):
        image_scene(image, write(tmp_path / "far.tif", y, 2.0, west=900_000.0))
    with pytest.raises(SourceMissing):
        image_scene(tmp_path / "none.tif", heights)
    (tmp_path / "bad.tif").write_text("no raster")
    with pytest.raises(SourceCorrupt):
        image_scene(image, tmp_path / "bad.tif")
    surface = write(tmp_path / "dsm.tif", 10 * x + 7, 2.0)
    above = surface_scene(surface, heights)
    assert above.image.shape == (3, 30, 40)
    assert np.allclose(above.heights_m, 7, atol=1e-3)


def test_isprs_layouts_and_splits(tmp_path: Path) -> None:
    for area in ("1", "2", "3"):
        write(tmp_path / "top" / f"top_mosaic_09cm_area{area}.tif", np.full((3, 40, 40), 90, np.uint8))
        write(tmp_path / "dsm" / f"dsm_09cm_matching_area{area}.tif", np.full((40, 40), 250.0, np.float32))
    tiles = isprs_tiles(tmp_path, Benchmark.VAIHINGEN)
    train, test = split_tiles(tiles, Benchmark.VAIHINGEN)
    assert [t.name for t in train] == ["1", "3"]
    assert [t.name for t in test] == ["2"]
    a, b = split_tiles(tiles, Benchmark.VAIHINGEN, seed=1)
    assert len(a) == 2
    assert {t.name for t in (*a, *b)} == {"1", "2", "3"}
    assert isprs_scene(tiles[0]).heights_m.mean() == 250
    write(tmp_path / "p" / "top_potsdam_2_10_RGB.tif", np.zeros((3, 40, 40), np.uint8))
    with pytest.raises(SourceMissing, match="no DSM"):
        isprs_tiles(tmp_path / "p", Benchmark.POTSDAM)
    write(tmp_path / "p" / "dsm_potsdam_02_10.tif", np.zeros((39, 40), np.float32))
    tile = isprs_tiles(tmp_path / "p", Benchmark.POTSDAM)[0]
    assert isprs_scene(tile).heights_m.shape == (39, 40)
    with pytest.raises(SourceMissing):
        isprs_tiles(tmp_path / "dsm", Benchmark.VAIHINGEN)
