"""Source indexes: what is read, what is kept, and that the fast way of reading gives GDAL's grid."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
from affine import Affine

from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import SourceCorrupt, SourceGridError, SourceMissing
from orograph.pipeline.sources.catalogue import Files, PixelIs
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.index_build import Builder, build_index, list_files, unchanged
from orograph.pipeline.sources.raster_facts import FactsReader
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.source_files import LocalFiles
from orograph.pipeline.sources.source_index import DamagedIndex, SourceIndex
from tests.support.made import source, write_source

CRS = "EPSG:25832"


def never(href: str, _source: object) -> FileRef:
    pytest.fail(f"asked for {href}")


def folder_of(path: Path, columns: int = 3, rows: int = 2) -> Path:
    for column in range(columns):
        for row in range(rows):
            west, south = 300_000.0 + column * 1000, 5_500_000.0 + row * 1000
            write_source(path / f"t{column}_{row}.tif", CRS, (west, south, west + 1000, south + 1000), 50)
    return path


def of(folder: Path, pattern: str = "*.tif", **changes: object):
    changes = {"horizontal_crs": CRS, "resolution_m": 50.0, **changes}
    return source(folder, data=Files(hrefs=(str(folder / pattern),)), **changes)


def index_of(made) -> SourceIndex:
    return build_index(made, list_files(made, LocalFiles()), never)


def test_an_index_survives_its_file_and_is_geoparquet(tmp_path):
    index = index_of(of(folder_of(tmp_path)))
    data = index.to_bytes()
    again = SourceIndex.from_bytes(data)
    assert again.table.equals(index.table)
    assert (again.source_id, again.declaration, again.location) == (index.source_id, index.declaration, index.location)
    geo = json.loads(pq.read_schema(io.BytesIO(data)).metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["crs"]["id"] == {"authority": "EPSG", "code": 4258}
    assert [Path(href).name for href in index.hrefs] == sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(DamagedIndex):
        SourceIndex.from_bytes(data[: len(data) // 2])


def test_areas_find_the_files_they_touch_before_and_after_there_is_a_tree(tmp_path):
    index = index_of(of(folder_of(tmp_path)))
    west, south, east, north = index.bounds_deg[0]
    inner = shapely.box(west + 1e-3, south + 1e-3, east - 1e-3, north - 1e-3)
    for _ in range(20):
        assert index.touching(inner).tolist() == [0]
        assert (
            len(index.touching(shapely.box(*index.bounds_deg.min(axis=0)[:2], *index.bounds_deg.max(axis=0)[2:]))) == 6
        )
    assert index.touching(shapely.box(0, 0, 1, 1)).tolist() == []


def test_only_files_that_changed_are_read_again(tmp_path):
    made = of(folder_of(tmp_path))
    old = index_of(made)
    assert build_index(made, list_files(made, LocalFiles()), never, old=old) is old
    os.utime(tmp_path / "t1_0.tif", ns=(0, 7))
    write_source(tmp_path / "t9_9.tif", CRS, (310_000.0, 5_500_000.0, 311_000.0, 5_501_000.0), 50)
    (tmp_path / "t0_0.tif").unlink()
    listing = list_files(made, LocalFiles())
    kept = unchanged(listing, old, made)
    read = [Path(listing.hrefs[i]).name for i in np.flatnonzero(kept < 0)]
    assert read == ["t1_0.tif", "t9_9.tif"]
    new = build_index(made, listing, never, old=old)
    assert new.hrefs == listing.hrefs
    assert new.table.equals(index_of(made).table)
    assert new.refs(np.array([1]))[0].etag != old.refs(np.array([2]))[0].etag


def test_a_replaced_file_of_equal_size_and_time_is_another(tmp_path):
    made = of(folder_of(tmp_path, 1, 1))
    old = index_of(made)
    path = tmp_path / "t0_0.tif"
    copy, before = tmp_path / "copy", path.stat()
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    copy.replace(path)
    assert unchanged(list_files(made, LocalFiles()), old, made).tolist() == [-1]


def test_another_declaration_reads_every_file_again(tmp_path):
    made = of(folder_of(tmp_path))
    old = index_of(made)
    other = made.model_copy(update={"horizontal_crs": "EPSG:25833"})
    with pytest.raises(SourceGridError):
        build_index(other, list_files(other, LocalFiles()), never, old=old)


def test_faults_name_their_file_and_the_others_are_indexed(tmp_path):
    made = of(folder_of(tmp_path))
    (tmp_path / "broken.tif").write_bytes(b"II*\0broken")
    listing = list_files(made, LocalFiles())
    builder = Builder(made, never)
    parts = list(builder.read(listing, range(len(listing.hrefs))))
    assert sum(table.num_rows for _, table in parts) == 6
    assert [Path(fault.href).name for fault in builder.faults] == ["broken.tif"]
    assert isinstance(builder.faults[0].error, SourceCorrupt)
    with pytest.raises(SourceCorrupt, match="broken"):
        build_index(made, listing, never)


def test_content_is_the_identity_on_request(tmp_path):
    made = of(folder_of(tmp_path, 1, 1))
    listing = list_files(made, LocalFiles())
    ((_, table),) = Builder(made, never, with_sha256=True).read(listing, [0])
    assert table.column("sha256")[0].as_py() == file_sha256(tmp_path / "t0_0.tif")
    index = SourceIndex.of(made, table)
    assert index.refs(np.array([0]))[0].etag == f"sha256:{file_sha256(tmp_path / 't0_0.tif')}"


def test_patterns_without_a_match_and_links_to_nowhere_are_errors(tmp_path):
    with pytest.raises(SourceMissing, match="no file matches"):
        list_files(source(tmp_path, data=Files(hrefs=(str(tmp_path / "*.tif"),))), LocalFiles())
    with pytest.raises(SourceMissing, match="no file matches"):
        list_files(source(tmp_path, data=Files(hrefs=(str(tmp_path / "none" / "*.tif"),))), LocalFiles())
    (tmp_path / "link.tif").symlink_to(tmp_path / "nowhere.tif")
    with pytest.raises(SourceMissing, match="link"):
        list_files(source(tmp_path, data=Files(hrefs=(str(tmp_path / "*.tif"),))), LocalFiles())


def test_lists_keep_their_order_and_name_each_file_once(tmp_path):
    folder_of(tmp_path)
    hrefs = (str(tmp_path / "t2_0.tif"), "s3://bucket/a.tif", str(tmp_path / "**/t?_0.tif"))
    listing = list_files(source(tmp_path, data=Files(hrefs=hrefs)), LocalFiles())
    assert [Path(href).name for href in listing.hrefs] == ["t2_0.tif", "a.tif", "t0_0.tif", "t1_0.tif"]
    assert listing.is_local.tolist() == [True, False, True, True]


@pytest.mark.parametrize("pixel", [PixelIs.AREA, PixelIs.POINT])
@pytest.mark.parametrize("big", ["YES", "NO"])
@pytest.mark.parametrize("tiled", [True, False])
def test_tags_give_the_grid_gdal_gives(tmp_path, pixel, big, tiled):
    made = of(tmp_path, pixel=pixel, resolution_m=2.5)
    reader = FactsReader(made)
    for number in range(3):
        path = tmp_path / f"{number}.tif"
        profile = {"driver": "GTiff", "width": 70 + number, "height": 40, "count": 1, "dtype": "float32", "crs": CRS}
        affine = Affine(2.5, 0, 300_000.0 + number * 175, 0, -2.5, 5_500_000.0 - number * 100)
        blocks = {"tiled": True, "blockxsize": 32, "blockysize": 16} if tiled else {"blockysize": 8}
        with rasterio.open(path, "w", **profile, **blocks, transform=affine, BIGTIFF=big, nodata=-9999) as out:
            out.write(np.full((1, 40, 70 + number), 5, np.float32))
            out.update_tags(**({"AREA_OR_POINT": "Point"} if pixel is PixelIs.POINT else {}), STATISTICS_MEAN=number)
        facts, header = reader.read_local(str(path), has_sidecars=False), read_header(path, made)
        found = (facts.west, facts.north, facts.pixel_width, -facts.pixel_height)
        assert found == pytest.approx((header.affine.c, header.affine.f, header.affine.a, header.affine.e), abs=1e-6)
        assert (facts.height_px, facts.width_px) == header.shape
        assert (facts.block_width_px, facts.block_height_px) == ((32, 16) if tiled else (70 + number, 8))


def test_a_sidecar_that_would_move_a_file_is_seen(tmp_path):
    made = of(folder_of(tmp_path, 2, 1))
    reader = FactsReader(made)
    assert reader.read_local(str(tmp_path / "t0_0.tif"), has_sidecars=False).west == 300_000.0
    sidecar = "<PAMDataset><GeoTransform>500000, 50, 0, 5600000, 0, -50</GeoTransform></PAMDataset>"
    (tmp_path / "t1_0.tif.aux.xml").write_text(sidecar)
    with pytest.raises(SourceGridError, match="contradict"):
        reader.read_local(str(tmp_path / "t1_0.tif"), has_sidecars=True)


def test_sidecars_are_in_the_index_and_one_that_came_or_changed_makes_its_file_read_again(tmp_path):
    made = of(folder_of(tmp_path, 3, 1))
    (tmp_path / "t0_0.tif.aux.xml").write_text("<PAMDataset/>")
    old = index_of(made)
    refs = old.refs(np.arange(3))
    assert [[Path(one.href).name for one in ref.sidecars] for ref in refs] == [["t0_0.tif.aux.xml"], [], []]
    assert build_index(made, list_files(made, LocalFiles()), never, old=old) is old
    (tmp_path / "t0_0.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    (tmp_path / "t2_0.tfw").write_text("50 0 0 -50 302025 5500975")
    assert (unchanged(list_files(made, LocalFiles()), old, made) < 0).tolist() == [True, False, True]
