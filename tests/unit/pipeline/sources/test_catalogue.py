"""The bundled source catalogue is complete, and hrefs resolve from its folder."""

import pytest
import yaml

from orograph.pipeline.errors import SourceUnknown
from orograph.pipeline.planning.cells import cell_href, cells_in
from orograph.pipeline.sources.catalogue import Files, SourceCatalogue
from tests.support.made import source


def test_glo30_hrefs_are_those_of_the_public_bucket():
    glo = SourceCatalogue.load().get("glo-30")
    cells = list(cells_in((6.2, 43.1, 7.4, 43.9)))
    assert [cell.id for cell in cells] == ["N43E006", "N43E007"]
    name = "Copernicus_DSM_COG_10_N43_00_E006_00_DEM"
    assert cell_href(glo.data, cells[0]) == f"s3://copernicus-dem-30m/{name}/{name}.tif"


def test_the_shipped_catalogue_is_complete():
    catalogue = SourceCatalogue.load()
    national = [s for s in catalogue.sources if s.id != "glo-30"]
    assert len(national) >= 8
    for one in catalogue.sources:
        assert one.licence
        assert one.attribution
        assert one.providers
    with pytest.raises(SourceUnknown, match="sources list"):
        catalogue.get("atlantis")


def test_relative_hrefs_are_taken_from_the_catalogues_folder(tmp_path):
    entry = source("a/b.tif").model_dump(mode="json")
    entry["data"] = {"kind": "files", "hrefs": ["a/b.tif", "s3://bucket/key.tif"]}
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"sources": [entry]}))
    data = SourceCatalogue.load(path).get("made").data
    assert isinstance(data, Files)
    assert data.hrefs == (str(tmp_path / "a/b.tif"), "s3://bucket/key.tif")
