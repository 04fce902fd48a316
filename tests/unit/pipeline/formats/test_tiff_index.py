"""Block indexes of TIFFs of every layout, compared with what GDAL says of the same files."""

import numpy as np
import pytest
import rasterio
from rasterio.io import MemoryFile
from rasterio.shutil import copy

from orograph.pipeline.errors import SourceCorrupt
from orograph.pipeline.formats.tiff_index import is_tiff, read_index
from tests.support.tiffs import write_heights

LAYOUTS = {
    "tiled": {},
    "big": {"BIGTIFF": "YES"},
    "big-endian": {"ENDIANNESS": "BIG"},
    "strips": {"tiled": False, "blockxsize": None, "blockysize": 16},
    "one-strip": {"tiled": False, "blockxsize": None, "blockysize": 300},
    "sparse": {"SPARSE_OK": "TRUE"},
}


def heights():
    made = np.random.default_rng(0).normal(500, 20, (300, 410)).astype(np.float32)
    made[:128, :128] = -9999.0
    return made


def index_of(data):
    return read_index(lambda start, end: data[start:end], len(data), "made")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_blocks_are_where_gdal_finds_them(layout, tmp_path):
    path = write_heights(tmp_path / "a.tif", heights(), **LAYOUTS[layout])
    index = index_of(path.read_bytes())
    assert index is not None
    level = index.levels[0]
    with rasterio.open(path) as dataset:
        rows, cols = dataset.block_shapes[0]
        assert (level.height, level.width, level.block_height, level.block_width) == (*dataset.shape, rows, cols)
        across = -(-dataset.width // cols)
        for number in range(level.offsets.size):
            place = f"{number % across}_{number // across}"
            offset = dataset.get_tag_item(f"BLOCK_OFFSET_{place}", "TIFF", 1)
            size = dataset.get_tag_item(f"BLOCK_SIZE_{place}", "TIFF", 1)
            assert (int(offset or 0), int(size or 0)) == (level.offsets[number], level.counts[number])
    assert (level.counts == 0).any() == (layout == "sparse")


def test_overviews_and_masks_are_levels(tmp_path):
    path = tmp_path / "cog.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        copy(write_heights(tmp_path / "a.tif", np.ones((1200, 900))), path, driver="COG", BLOCKSIZE=128, ADD_MASK=True)
    index = index_of(path.read_bytes())
    assert index is not None
    assert index.level(900, 1200) is index.levels[0]
    assert index.level(450, 600) is not None
    assert index.level(1, 1) is None


def test_blocks_of_a_window():
    index = index_of(_memory(np.zeros((300, 410))))
    assert index is not None
    level = index.levels[0]
    assert level.blocks(0, 0, 1, 1).tolist() == [0]
    assert level.blocks(127, 127, 2, 2).tolist() == [0, 1, 4, 5]
    assert level.blocks(-50, -50, 1000, 1000).size == level.offsets.size
    assert level.blocks(500, 0, 10, 10).size == 0


def test_damaged_headers_are_typed_errors():
    data = bytearray(_memory(heights()))
    generator = np.random.default_rng(1)
    for _ in range(300):
        changed = bytearray(data)
        for place in generator.integers(0, 600, 3):
            changed[place] ^= int(generator.integers(1, 255))
        try:
            index_of(bytes(changed))
        except SourceCorrupt:
            continue
    with pytest.raises(SourceCorrupt, match=r"outside|truncated"):
        index_of(bytes(data[: len(data) // 2]))
    with pytest.raises(SourceCorrupt):
        index_of(b"<html>not here</html>")
    assert not is_tiff(b"<html>")


def _memory(made):
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}
    profile["transform"] = rasterio.Affine(10, 0, 0, 0, -10, 0)
    with MemoryFile() as memory:
        with memory.open(height=made.shape[0], width=made.shape[1], count=1, dtype="float32", **profile) as target:
            target.write(made.astype(np.float32), 1)
        return memory.read()
