"""Side-cars are part of a raster, next to a local file and on a server alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from orograph.infra.runs.fetch import Fetcher
from orograph.infra.stores.retry import Backoff
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import SourceChanged, SourceGridError
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.reader import SourceReader
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.single_raster import opened_heights
from tests.support.faulty_http import FaultyServer

TILE = Tile(4300, 3000)
NODATA = '<PAMDataset><PAMRasterBand band="1"><NoDataValue>-99</NoDataValue></PAMRasterBand></PAMDataset>'
SETTINGS = ProcessingSettings(pixel_size_m=50, superres="none")


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as running:
        yield running


def write(path: Path, **about: object) -> Path:
    heights = np.full((60, 60), 150, np.float32)
    heights[:, :20] = -99
    profile = {"driver": "GTiff", "width": 60, "height": 60, "count": 1, "dtype": "float32", "crs": "EPSG:3035"}
    with rasterio.open(
        path, "w", **{**profile, "transform": from_origin(4_310_000, 3_020_000, 50, 50), **about}
    ) as file:
        file.write(heights, 1)
    return path


def source_of(href: str) -> Source:
    # A server of this process cannot answer GDAL, which holds the interpreter; files of cells are not opened to be planned.
    data = {"kind": "cells", "href": href} if "://" in href else {"kind": "files", "hrefs": [href]}
    return Source.model_validate(
        {
            "id": "made", "title": "made", "providers": [{"name": "x"}], "licence": "CC0-1.0", "attribution": "x",
            "data": data, "sidecars": True, "horizontal_crs": "EPSG:3035", "vertical_frame": "EPSG:5621",
            "surface": "DTM", "resolution_m": 50, "thinning": "decimated", "accuracy_m": 0.1,
        }
    )  # fmt: skip


def planned(href: str) -> tuple[FileRef, str, Source]:
    fetcher = Fetcher(backoff=Backoff(attempts=1))
    source = source_of(href)
    job = Planner([source], SETTINGS, lambda name, _: fetcher.probe(name)).job(TILE)
    return job.sources[0].files[0], job.run_key, source


@pytest.mark.parametrize("where", ["local", "http"])
def test_nodata_of_a_sidecar_is_heeded_and_part_of_the_run_key(
    where: str, server: FaultyServer, tmp_path: Path
) -> None:
    raster = write(tmp_path / "dem.tif")
    href = str(raster) if where == "local" else server.serve("dem.tif", raster.read_bytes())
    _, bare, _ = planned(href)
    if where == "local":
        (tmp_path / "dem.tif.aux.xml").write_text(NODATA)
    else:
        server.serve("dem.tif.aux.xml", NODATA.encode())
    ref, key, source = planned(href)
    assert [sidecar.href for sidecar in ref.sidecars] == [f"{href}.aux.xml"]
    assert key != bare
    path = Fetcher().fetch(ref, tmp_path / "scratch")
    with SourceReader(source, [path]) as reader:
        lattice = reader.lattices[0]
        heights = reader.read(lattice, *lattice.index_bounds[:2], 60, 60)
        assert dict(reader.facts[0].said_by)["nodata"] == "side-car dem.tif.aux.xml"
    assert np.isnan(heights[:, :20]).all()
    assert (heights[:, 20:] == 150).all()


def test_a_sidecar_that_came_after_planning_is_noticed(tmp_path: Path) -> None:
    raster = write(tmp_path / "dem.tif")
    ref, _, _ = planned(str(raster))
    (tmp_path / "dem.tif.aux.xml").write_text(NODATA)
    with pytest.raises(SourceChanged, match=r"dem\.tif\.aux\.xml"):
        Fetcher().fetch(ref, tmp_path / "scratch")


def test_a_sidecar_that_went_away_leaves_nothing_in_scratch(server: FaultyServer, tmp_path: Path) -> None:
    raster = write(tmp_path / "dem.tif")
    href = server.serve("dem.tif", raster.read_bytes())
    server.serve("dem.tif.aux.xml", NODATA.encode())
    with_nodata, _, _ = planned(href)
    path = Fetcher().fetch(with_nodata, tmp_path / "scratch")
    assert path.with_name("dem.tif.aux.xml").exists()
    del server.objects["dem.tif.aux.xml"]
    without, _, _ = planned(href)
    assert Fetcher().fetch(without, tmp_path / "scratch") == path
    assert not path.with_name("dem.tif.aux.xml").exists()


def test_a_mask_next_to_the_file_and_inside_it(tmp_path: Path) -> None:
    for inside in (True, False):
        path = write(tmp_path / f"{inside}.tif")
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside), rasterio.open(path, "r+") as file:
            file.write_mask(np.where(np.arange(60) < 20, 0, 255).astype(np.uint8)[None].repeat(60, 0))
        assert path.with_name(f"{path.name}.msk").exists() is not inside
        with opened_heights(path) as raster:
            assert np.isnan(raster.read()).mean() == pytest.approx(1 / 3)


def test_file_and_sidecar_that_contradict_each_other_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "dem.tif", nodata=-9999)
    (tmp_path / "dem.tif.aux.xml").write_text(NODATA)
    with pytest.raises(SourceGridError, match=r"dem\.tif\.aux\.xml contradict each other: nodata -9999 and -99"):
        read_header(path, source_of(str(path)))


def test_a_world_file_places_a_file_without_keys_and_must_agree_with_keys(tmp_path: Path) -> None:
    heights = np.full((60, 60), 150, np.float32)
    bare = tmp_path / "bare.tif"
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        file = rasterio.open(bare, "w", driver="GTiff", width=60, height=60, count=1, dtype="float32")
    with file:
        file.write(heights, 1)
    world = "50\n0\n0\n-50\n4310025\n3019975\n"
    (tmp_path / "bare.tfw").write_text(world)
    facts = read_header(bare, source_of(str(bare)))
    assert facts.bounds == (4_310_000, 3_017_000, 4_313_000, 3_020_000)
    assert dict(facts.said_by)["georeferencing"] == "side-car bare.tfw"
    assert dict(facts.said_by)["horizontal_crs"] == "catalogue"
    keyed = write(tmp_path / "keyed.tif")
    (tmp_path / "keyed.tfw").write_text(world)
    assert read_header(keyed, source_of(str(keyed))).bounds == facts.bounds
    (tmp_path / "keyed.tfw").write_text(world.replace("4310025", "4310000"))
    with pytest.raises(SourceGridError, match=r"keyed\.tfw place it differently"):
        read_header(keyed, source_of(str(keyed)))
