"""A source's file is checked against its entry and its name before heights are read."""

import numpy as np
import pytest
import rasterio

from orograph.pipeline.errors import SourceCorrupt, SourceMissing
from orograph.pipeline.sources.header import read_header
from tests.support.made import write_source
from tests.support.worlds import SOURCE


def test_the_facts_of_a_file_are_those_it_was_written_with(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", (4_210_000.0, 3_010_000.0, 4_212_000.0, 3_012_000.0), 100)
    facts = read_header(path, SOURCE.model_copy(update={"resolution_m": 100.0}))
    assert facts.shape == (20, 20)
    assert (facts.affine.a, facts.affine.c, facts.affine.f) == (100.0, 4_210_000.0, 3_012_000.0)


def test_a_missing_file_names_its_source(tmp_path):
    with pytest.raises(SourceMissing, match=r"none\.tif") as caught:
        read_header(tmp_path / "none.tif", SOURCE)
    assert caught.value.source == "made"


def test_an_hgt_file_must_be_where_its_name_says(tmp_path):
    whole = tmp_path / "N47E010.hgt"
    with rasterio.open(
        whole, "w", driver="SRTMHGT", width=1201, height=1201, count=1, dtype="int16", crs="EPSG:4326",
        transform=rasterio.Affine(1 / 1200, 0, 10 - 1 / 2400, 0, -1 / 1200, 48 + 1 / 2400),
    ) as dataset:  # fmt: skip
        dataset.write(np.full((1201, 1201), 500, np.int16), 1)
    source = SOURCE.model_copy(
        update={"horizontal_crs": "EPSG:4326", "resolution_m": 90.0, "thinning": SOURCE.thinning}
    )
    assert read_header(whole, source).shape == (1201, 1201)
    nameless = tmp_path / "alps.hgt.tif"
    write_source(nameless, "EPSG:3035", (4_210_000.0, 3_010_000.0, 4_212_000.0, 3_012_000.0), 100)
    with pytest.raises(SourceCorrupt, match="HGT"):
        read_header(nameless, SOURCE.model_copy(update={"resolution_m": 100.0}))
