"""Delivered files become COGs with the same heights; bad ones are listed with a reason and stop nothing."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.runs.ingest import Ingested, ingest
from orograph.infra.stores.open import open_store
from orograph.pipeline.errors import DiskFull, SourceMissing
from orograph.pipeline.sources.catalogue import Source, SourceCatalogue
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.reader import SourceReader
from tests.support import delivered
from tests.support.delivered import AFFINE, FORMATS
from tests.support.made import source


def entry(**more: object) -> Source:
    described = {"resolution_m": 50.0, "attribution": "© Agency 2026", "epoch": 2019.5, **more}
    return source(Path("unused.tif"), **described)


def ingested(files: list[Path], where: Path, **more: object) -> Ingested:
    return ingest(entry(**more), files, open_store(str(where)))


def read(catalogue: Path) -> tuple[np.ndarray, dict[str, str]]:
    """Heights of a catalogue's only file by the reader of `run`, and the file's metadata."""
    (one,) = SourceCatalogue.load(catalogue).sources
    (path,) = catalogue.parent.glob("*/*.tif")
    with SourceReader(one, [path]) as reader:
        (facts,), (lattice,) = reader.facts, reader.lattices
        assert facts.affine.almost_equals(AFFINE, 1e-6)
        heights = reader.read(lattice, *lattice.index_bounds[:2], *facts.shape)
    with rasterio.open(path) as file:
        return heights, {**file.tags(), "crs": str(file.crs), "nodata": str(file.nodata)}


VARIANTS = {name for name in FORMATS if name.startswith(("XYZ ", "zipped GeoTIFF", "ASCII grid with decimal"))}
"""Ways of writing that the test of the formats covers."""


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in VARIANTS])
def test_a_cog_has_the_heights_and_facts_of_its_file(name: str, tmp_path: Path) -> None:
    path = FORMATS[name](tmp_path)
    done = ingested([path], tmp_path / "store")
    assert done.count("converted") == 1, done.entries
    assert done.count("rejected") == 0
    heights, tags = read(tmp_path / "store/made/catalogue.yaml")
    np.testing.assert_array_equal(heights, delivered.heights())
    assert (tags["crs"], tags["nodata"], tags["VERTICAL_DATUM"]) == ("EPSG:3035", "-32768.0", "EPSG:5621")
    assert (tags["ATTRIBUTION"], tags["COORDINATE_EPOCH"]) == ("© Agency 2026", "2019.5")
    assert tags["AREA_OR_POINT"] == ("Point" if "XYZ" in name else "Area")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.floats(-400, 2600, width=32), min_size=9, max_size=9),
    kind=st.sampled_from(["int16", "float64", "feet", "south-up", "scaled"]),
)
def test_heights_equal_the_readers_to_the_float(values: list[float], kind: str, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("made")
    z = np.array(values).reshape(3, 3)
    z[1, 1] = -9999
    transform = AFFINE * AFFINE.scale(1, -1) if kind == "south-up" else AFFINE
    whole = kind in {"int16", "scaled"}
    with rasterio.open(
        folder / "a.tif", "w", driver="GTiff", width=3, height=3, count=1, crs="EPSG:3035", transform=transform,
        dtype="int16" if whole else "float64", nodata=-9999,
    ) as file:  # fmt: skip
        file.write(np.round(z) if whole else z, 1)
        file.scales = (0.1,) if kind == "scaled" else (1.0,)
        file.units = ("foot",) if kind == "feet" else ("",)
    with SourceReader(entry(), [folder / "a.tif"]) as reader:
        expected = reader.read(reader.lattices[0], *reader.lattices[0].index_bounds[:2], 3, 3)
    ingested([folder / "a.tif"], folder / "store")
    (path,) = (folder / "store/made").glob("*/*.tif")
    with SourceReader(entry(), [path]) as reader:
        found = reader.read(reader.lattices[0], *reader.lattices[0].index_bounds[:2], 3, 3)
    np.testing.assert_array_equal(found, expected)


def delivery(folder: Path, suffix: str = ".zip") -> Path:
    """A good tile, one in a nested archive, a damaged one, and a text to read."""
    inner = folder / "inner.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("Deep/DGM1.XYZ", delivered.point_text(separator=";", comma=True))
    (folder / "tile.asc").write_text(delivered.ascii_text())
    (folder / "damaged.asc").write_text(delivered.ascii_text()[:400])
    (folder / "README.txt").write_text("please read me")
    names = {
        "a/tile.asc": "tile.asc",
        "a/damaged.asc": "damaged.asc",
        "README.txt": "README.txt",
        "b/in.zip": "inner.zip",
    }
    if suffix == ".zip":
        with zipfile.ZipFile(folder / "all.zip", "w") as archive:
            archive.writestr("__MACOSX/a/._tile.asc", "x")
            for name, file in names.items():
                archive.write(folder / file, name)
    else:
        py7zr = pytest.importorskip("py7zr")
        with py7zr.SevenZipFile(folder / "all.7z", "w") as archive:
            for name, file in names.items():
                archive.write(folder / file, name)
    return folder / f"all{suffix}"


@pytest.mark.parametrize("suffix", [".zip", ".7z"])
def test_one_bad_member_does_not_stop_the_others(suffix: str, tmp_path: Path) -> None:
    path = delivery(tmp_path, suffix)
    done = ingested([path], tmp_path / "store")
    status = {one.file: one.status for one in done.entries}
    assert status == {
        f"all{suffix}/a/tile.asc": "converted",
        f"all{suffix}/a/damaged.asc": "rejected",
        f"all{suffix}/b/in.zip/Deep/DGM1.XYZ": "converted",
        f"all{suffix}/README.txt": "ignored",
    }
    (bad,) = (one for one in done.entries if one.status == "rejected")
    assert "damaged" in str(bad.reason)
    again = ingested([path], tmp_path / "store")
    assert (again.count("kept"), again.count("converted"), again.count("rejected")) == (2, 0, 1)
    other = ingested([path], tmp_path / "store", nodata=(147.25,))
    assert other.count("converted") == 2, "another declaration gives other COGs"


def test_an_archive_that_does_not_fit_into_scratch_is_rejected_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = delivery(tmp_path, ".7z")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(DiskFull, match=r"all\.7z are unpacked at once .* 0 MB are free"):
        ingested([path], tmp_path / "store")


def test_an_ingest_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from orograph.infra.runs import ingest as module

    files = [tmp_path / f"{number}.xyz" for number in range(3)]
    for number, file in enumerate(files):
        file.write_text(delivered.point_text().replace("15", f"15{number}", 1))
    calls = []

    def dying(*args: object, **options: object) -> object:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return convert(*args, **options)

    convert = module.convert
    monkeypatch.setattr(module, "convert", dying)
    with pytest.raises(KeyboardInterrupt):
        ingested(files, tmp_path / "store")
    done = ingested(files, tmp_path / "store")
    assert (done.count("kept"), done.count("converted"), len(calls)) == (1, 2, 4)


def test_companions_come_with_their_raster_and_folders_by_their_rasters(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    delivered.raw("ENVI", "dem.img")(folder)
    (folder / "notes.pdf").write_bytes(b"%PDF")
    by_folder = ingested([folder], tmp_path / "one")
    by_name = ingested(sorted(folder.glob("dem.*")), tmp_path / "two")
    assert by_folder.count("converted") == by_name.count("converted") == 1
    assert by_folder.count("rejected") == by_name.count("rejected") == 0
    with pytest.raises(SourceMissing):
        ingested([tmp_path / "none.asc"], tmp_path / "one")


def test_an_hgt_keeps_its_place_without_its_name(tmp_path: Path) -> None:
    (tmp_path / "N50E010.hgt").write_bytes(np.full((1201, 1201), 300, ">i2").tobytes())
    done = ingested([tmp_path / "N50E010.hgt"], tmp_path / "store", horizontal_crs="EPSG:4326", resolution_m=90.0)
    (key,) = (one.key for one in done.entries)
    facts = read_header(str(tmp_path / "store" / str(key)), entry(horizontal_crs="EPSG:4326", resolution_m=90.0))
    assert facts.bounds[3] == pytest.approx(51 + 0.5 / 1200)
    assert facts.pixel == "point"


def test_the_command_reports_and_ends_with_4(tmp_path: Path) -> None:
    path = delivery(tmp_path)
    catalogue = tmp_path / "catalogue.yaml"
    catalogue.write_text(yaml.safe_dump({"sources": [entry().model_dump(mode="json")]}))
    words = ["ingest", str(path), "--source", "made", "--to", str(tmp_path / "store"), "--catalogue", str(catalogue)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 4, result.output
    assert "2 converted, 0 kept, 1 rejected, 1 ignored" in result.stdout
    report = json.loads((tmp_path / "store/made/report.json").read_text())
    assert [one["status"] for one in report["files"]].count("converted") == 2
    page = (tmp_path / "store/made/report.html").read_text()
    assert all(text in page for text in ("damaged.asc", "default of the format"))
    assert "© Agency 2026" in (tmp_path / "store/made/LICENCE.txt").read_text()


def test_real_deliveries_become_cogs(shared: Callable[[str], Path], tmp_path: Path) -> None:
    path = shared("data/delivered/asc_prj_no_nodata_line_zero_voids_lavangsdalen.zip")
    done = ingested(
        [path], tmp_path / "store", horizontal_crs="EPSG:25833", vertical_frame="EPSG:5941", resolution_m=5.0
    )
    (one,) = done.entries
    assert (one.status, one.facts["said_by"]["horizontal_crs"]) == ("converted", "side-car tbfclip.prj")
    assert "0 m" in one.suspicious[0]
