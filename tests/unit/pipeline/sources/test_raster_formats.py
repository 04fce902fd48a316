"""Every command reads every format of the table, to the same heights; all reject the same files with one remedy."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from orograph.infra.runs.fetch import Fetcher
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import IngestNeeded, OrographError, SourceCorrupt, SourceGridError, SourceMissing
from orograph.pipeline.exports.inspect import inspect
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources import raster_formats
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.facts import Declared
from orograph.pipeline.sources.reader import SourceReader
from orograph.pipeline.sources.refs import SourceRef
from orograph.pipeline.sources.single_raster import open_heights
from orograph.pipeline.vertical.harmonise import HarmoniseRequest, harmonise
from tests.support import delivered
from tests.support.delivered import AFFINE, FORMATS
from tests.support.made import source

TILE = Tile(4300, 3000)
SETTINGS = ProcessingSettings(pixel_size_m=50, superres="none")


def entry(path: Path) -> Source:
    return source(path, resolution_m=50.0)


def planned(path: Path) -> SourceRef:
    fetcher = Fetcher(backoff=Backoff(attempts=1))
    return Planner([entry(path)], SETTINGS, lambda name, _: fetcher.probe(name)).job(TILE).sources[0]


def plan(path: Path, _: Path) -> None:
    assert planned(path).files[0].href == str(path)


def run(path: Path, scratch: Path) -> np.ndarray:
    """What a worker does with a planned file."""
    local = Fetcher().fetch(planned(path).files[0], scratch)
    with SourceReader(entry(path), [local]) as reader:
        (lattice,) = reader.lattices
        (header,) = reader.facts
        assert header.affine.almost_equals(AFFINE, 1e-6)
        return reader.read(lattice, *lattice.index_bounds[:2], *header.shape)


def inspected(path: Path, _: Path) -> None:
    facts = inspect(path).facts
    z = delivered.heights()
    assert facts["minimum"] == pytest.approx(float(np.nanmin(z)))
    assert facts["void_percent"] == pytest.approx(100 * np.isnan(z).mean(), abs=0.01)


def harmonised(path: Path, scratch: Path) -> np.ndarray:
    out = scratch / "out.tif"
    harmonise(path, out, HarmoniseRequest("EPSG:5621", "EPSG:5621", horizontal_crs="EPSG:3035"), scratch)
    with rasterio.open(out) as file:
        assert file.transform.almost_equals(AFFINE, 1e-6)
        return file.read(1, masked=True).filled(np.nan)


COMMANDS: dict[str, Callable[[Path, Path], np.ndarray | None]] = {
    "plan": plan,
    "run": run,
    "inspect": inspected,
    "harmonise": harmonised,
}


@pytest.mark.parametrize("name", FORMATS)
def test_all_commands_read_the_format_alike(name: str, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = FORMATS[name](tmp_path)
    for command in (run, inspected, harmonised):  # a run plans first
        read = command(path, scratch)
        if read is not None:
            np.testing.assert_array_equal(read, delivered.heights())


def test_each_format_of_the_table_is_written_by_a_test() -> None:
    tested = {name for name in raster_formats.FORMATS if any(one.startswith(name.name) for one in FORMATS)}
    # Only the size and place of HGT are tested, below; GDAL's own tests read DTED.
    tested |= {raster_formats.HGT, raster_formats.DTED}
    tested |= {raster_formats.POINTS} if "XYZ" in FORMATS else set()
    assert tested == set(raster_formats.FORMATS)


def rejected(tmp_path: Path) -> dict[str, tuple[Path, type[OrographError], str]]:
    many, seven = tmp_path / "many.zip", tmp_path / "seven.7z"
    with zipfile.ZipFile(many, "w") as archive:
        archive.writestr("a.xyz", delivered.point_text())
        archive.writestr("b/b.xyz", delivered.point_text())
    seven.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("__MACOSX/dem.tif", "x")
    (tmp_path / "page.asc").write_text("<!doctype html><html></html>")
    (tmp_path / "notes.txt").write_text("a table\nof two 1 2\n")
    return {
        "several in a zip": (many, IngestNeeded, "orograph ingest"),
        "7z": (seven, IngestNeeded, "orograph ingest"),
        "a zip without rasters": (tmp_path / "empty.zip", SourceCorrupt, "no raster"),
        "a page of a server": (tmp_path / "page.asc", SourceCorrupt, "HTML page"),
        "notes": (tmp_path / "notes.txt", SourceCorrupt, "formats read"),
        "nothing": (tmp_path / "none.asc", SourceMissing, "none.asc"),
    }


def test_all_commands_reject_the_same_files(tmp_path: Path) -> None:
    for name, (path, kind, words) in rejected(tmp_path).items():
        for command, call in COMMANDS.items():
            with pytest.raises(kind) as caught:
                call(path, tmp_path)
            assert words in str(caught.value), f"{name}, {command}"


def test_large_text_and_large_members_need_ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = FORMATS["XYZ"](tmp_path)
    packed = FORMATS["zipped GeoTIFF"](tmp_path)
    monkeypatch.setattr(raster_formats, "MOST_PACKED_BYTES", 1000)
    with pytest.raises(IngestNeeded, match=re.escape(f"orograph ingest {packed} ")):
        open_heights(packed)
    small = raster_formats.POINTS.__class__("XYZ text", "XYZ", (".xyz",), 1000)
    with pytest.raises(IngestNeeded, match="at most 0 are read directly"):
        raster_formats.check_size(str(path), small)


def test_the_missing_nodata_line_of_an_ascii_grid_is_stated(tmp_path: Path) -> None:
    path = FORMATS["ASCII grid without .prj and NODATA"](tmp_path)
    with open_heights(path) as raster:
        assert raster.facts.nodata == (-9999.0,)
        assert dict(raster.facts.said_by)["nodata"] == "default of the format"
    found = inspect(path).facts
    assert (found["nodata"], found["nodata_by"]) == (-9999.0, "default of the format")


@pytest.mark.parametrize(
    ("sides", "name"),
    [((1201, 1201), "N50E010.hgt"), ((1201, 1201), "n50e010.HGT"), ((3601, 1801), "n50e010.hgt"), ((7201, 7201), "N50E010.hgt")],
)  # fmt: skip
def test_hgt_of_every_size_and_case(sides: tuple[int, int], name: str, tmp_path: Path) -> None:
    first = np.array([-32768, 1, 2], ">i2").tobytes()
    with (tmp_path / name).open("wb") as file:
        file.write(first)
        file.truncate(2 * sides[0] * sides[1])
    with zipfile.ZipFile(tmp_path / "n50e010.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(tmp_path / name, name)
    for path in (tmp_path / name, tmp_path / "n50e010.zip"):
        with open_heights(path, Declared(horizontal_crs="EPSG:4326")) as raster:
            assert raster.read(0, 0, 1, 3).tolist()[0][1:] == [1.0, 2.0]
            assert np.isnan(raster.read(0, 0, 1, 1)).all()
            half = raster.transform.a / 2
            assert raster.bounds[0] == pytest.approx(10 - half)
            assert raster.bounds[3] == pytest.approx(51 + 0.5 / (sides[0] - 1))
    if sides == (1201, 1201):
        assert inspect(tmp_path / "n50e010.zip").facts["samples"] == list(sides)


def test_a_name_that_lies_about_an_hgt_in_an_archive_is_found(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "N50E010.zip", "w") as archive:
        archive.writestr("dem.hgt", bytes(2 * 1201 * 1201))
    with pytest.raises(SourceCorrupt):
        inspect(tmp_path / "N50E010.zip")


def vrt_with(folder: Path, old: str, new: str) -> Path:
    path = delivered.vrt(folder)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("old", "new", "kind", "words"),
    [
        ("dem.tif<", "gone.tif<", SourceMissing, "gone.tif, which does not exist"),
        ('relativeToVRT="1">dem.tif', ">/vsicurl/https://example.org/dem.tif", SourceCorrupt, "not a local file"),
        ('DstRect xOff="0" yOff="0" xSize="40"', 'DstRect xOff="0" yOff="0" xSize="80"', SourceGridError, "resamples dem.tif by 2"),
        ("<VRTDataset ", '<VRTDataset subClass="VRTWarpedDataset" ', SourceGridError, "computed, not read"),
        ('band="1">', 'band="1" subClass="VRTDerivedRasterBand">', SourceGridError, "computed, not read"),
        ("<NoDataValue>-9999.0</NoDataValue>", "", SourceGridError, "states nodata, which the mosaic"),
    ],
)  # fmt: skip
def test_a_vrt_that_is_no_plain_mosaic_is_rejected(
    old: str, new: str, kind: type[OrographError], words: str, tmp_path: Path
) -> None:
    path = vrt_with(tmp_path, old, new)
    # An inspection reports what a file contradicts instead of ending.
    commands = [call for name, call in COMMANDS.items() if name != "inspect" or "states" not in words]
    for call in commands:
        with pytest.raises(kind, match=words):
            call(path, tmp_path)


def test_a_member_of_a_mosaic_is_part_of_the_run(tmp_path: Path) -> None:
    path = delivered.vrt(tmp_path)
    assert [Path(file.href).name for file in planned(path).files[0].sidecars] == ["dem.tif"]


def test_a_vrt_named_tif_is_no_raster(tmp_path: Path) -> None:
    lie = delivered.vrt(tmp_path).rename(tmp_path / "lie.tif")
    with pytest.raises(SourceCorrupt, match="XML"):
        open_heights(lie)


def test_real_deliveries_open(shared: Callable[[str], Path]) -> None:
    codes = {"rott": "EPSG:25832", "ryggfonn": "EPSG:25833", "tirol": "EPSG:31254", "volda": "EPSG:25833"}
    seen = 0
    for path in sorted(shared("data/delivered").glob("asc_*.zip")):
        code = next((code for name, code in codes.items() if name in path.name), None)
        with open_heights(path, Declared(horizontal_crs=code)) as raster:
            assert np.isfinite(raster.read_unchecked(0, 0, raster.height, raster.width)).any()
            assert raster.crs is not None
            seen += 1
    assert seen == 5
