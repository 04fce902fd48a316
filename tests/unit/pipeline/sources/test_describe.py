"""A catalogue entry is drafted from a file, and never guesses its vertical frame."""

import pytest
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import FrameUnknown, SourceMissing, VerticalFrameMissing
from orograph.pipeline.sources.catalogue import SourceCatalogue
from orograph.pipeline.sources.describe import describe
from tests.support.made import write_source


@pytest.fixture
def raster(tmp_path):
    return write_source(tmp_path / "My DTM.tif", "EPSG:3035", (4_210_000.0, 3_010_000.0, 4_212_000.0, 3_012_000.0), 50)


def test_the_entry_has_the_files_facts(raster):
    entry = describe((raster,), frame="EPSG:5621")
    assert (entry.id, entry.horizontal_crs, entry.vertical_frame) == ("my-dtm", "EPSG:3035", "EPSG:5621")
    assert entry.resolution_m == 50.0


def test_frames_are_named_by_the_user_or_the_file(raster, tmp_path):
    with pytest.raises(VerticalFrameMissing, match="--frame"):
        describe((raster,), frame=None)
    unknown = CliRunner().invoke(app, ["sources", "describe", str(raster), "--frame", "EPSG:1"])
    assert isinstance(unknown.exception, FrameUnknown)
    with pytest.raises(SourceMissing):
        describe((tmp_path / "none.tif",), frame="EPSG:5621")


def test_the_command_writes_a_catalogue_that_loads(raster, tmp_path):
    target = tmp_path / "my.yaml"
    result = CliRunner().invoke(app, ["sources", "describe", str(raster), "--frame", "EPSG:5621", "-o", str(target)])
    assert result.exit_code == 0, result.output
    assert SourceCatalogue.load(target).get("my-dtm") == describe((raster,), frame="EPSG:5621")
