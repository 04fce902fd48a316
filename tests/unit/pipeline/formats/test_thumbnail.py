"""Thumbnails show ground in colour and leave voids transparent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.errors import ExportError
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.hillshade import hillshade
from orograph.pipeline.formats.thumbnail import write_thumbnail


def test_thumbnail(tmp_path: Path) -> None:
    heights = np.linspace(0, 2000, 1_000_000, dtype=np.float32).reshape(1000, 1000)
    heights[:, 600:] = np.nan
    whole = PixelWindow(0, 0, 1000, 1000)
    geobox = Tile.parse("E4300N2650").geobox(50)
    with cog.scratch(tmp_path / "s.tif", geobox) as writer:
        writer.write(whole, heights)
    cog.finish(tmp_path / "s.tif", tmp_path / "e.tif")
    with cog.scratch(tmp_path / "s.tif", geobox, dtype="uint8", nodata=0) as writer:
        writer.write(whole, hillshade(np.pad(heights, 1, mode="edge"), 50.0))
    cog.finish(tmp_path / "s.tif", tmp_path / "h.tif")
    write_thumbnail(tmp_path / "e.tif", tmp_path / "h.tif", tmp_path / "t.png")
    first = (tmp_path / "t.png").read_bytes()
    write_thumbnail(tmp_path / "e.tif", tmp_path / "h.tif", tmp_path / "t.png")
    assert (tmp_path / "t.png").read_bytes() == first
    picture = np.asarray(Image.open(tmp_path / "t.png"))
    assert picture.shape == (512, 512, 4)
    assert (picture[:, :300, 3] == 255).all()
    assert (picture[:, 320:, 3] == 0).all()
    assert np.abs(picture[5, 5, :3].astype(int) - picture[-5, 5, :3]).max() > 20


def test_a_file_that_is_no_raster(tmp_path: Path) -> None:
    (tmp_path / "e.tif").write_bytes(b"x")
    with pytest.raises(ExportError, match=r"e\.tif"):
        write_thumbnail(tmp_path / "e.tif", tmp_path / "e.tif", tmp_path / "t.png")
