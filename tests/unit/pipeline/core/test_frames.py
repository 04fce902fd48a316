import pytest

from orograph.pipeline.core.frames import bundled_frames, frame_id
from orograph.pipeline.core.network_adjustment import AdjustmentFile
from orograph.pipeline.errors import FrameUnknown, NoVerticalOperation
from orograph.pipeline.exports.cell_job import CellSettings
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.facts import Declared
from orograph.pipeline.validation import ValidationOptions
from orograph.pipeline.vertical import VerticalCatalogue
from orograph.pipeline.vertical.harmonise import HarmoniseRequest
from tests.support.made import source


@pytest.mark.parametrize("frame", sorted(bundled_frames()))
def test_every_printed_name_and_code_is_its_frame(frame):
    name = bundled_frames()[frame]["name"]
    assert [frame_id(text) for text in (frame, frame.lower(), name, name.upper(), name.removesuffix(" height"))] == [
        frame
    ] * 5


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("NAP", "EPSG:5709"),
        ("evrf2007", "EPSG:5621"),
        ("5621", "EPSG:5621"),
        ("dvr90-2013", "EPSG:10484"),
        ("ETRS89", "EPSG:4937"),
        ("Baltic 1977", "EPSG:5705"),
        ("Baltic 1977 height (EE)", "EPSG:5705@EE"),
        ("our own datum", "our own datum"),
    ],
)
def test_short_names(text, frame):
    assert frame_id(text) == frame


def test_every_setting_that_takes_a_frame_keeps_its_code(tmp_path):
    assert ProcessingSettings(target_frame="NAP", control_frame="EGM2008").target_frame == "EPSG:5709"
    assert ProcessingSettings(control_frame="EGM2008").control_frame == "EPSG:3855"
    assert CellSettings(frame="ETRS89 ellipsoidal height").frame == "EPSG:4937"
    assert source(tmp_path / "a.tif", vertical_frame="Ostend").vertical_frame == "EPSG:5710"
    assert Declared(vertical_frame="LN02").vertical_frame == "EPSG:5728"
    assert HarmoniseRequest("DHHN2016").frame_to == "EPSG:7837"
    assert ValidationOptions(frame="EVRF2000", control_frame="NN2000").control_frame == "EPSG:5941"
    assert AdjustmentFile(target_frame="EVRF2007", model="constant", sources={}).target_frame == "EPSG:5621"


def test_operations_take_names(tmp_path):
    operation = VerticalCatalogue.load().operation("Ostend height", "EVRF2007", grids_dir=tmp_path)
    assert (operation.frame_from, operation.frame_to, operation.id) == ("EPSG:5710", "EPSG:5621", "EPSG:5199")


def test_unknown_and_shared_names_are_rejected_with_the_right_ones():
    catalogue = VerticalCatalogue.load()
    with pytest.raises(FrameUnknown, match=r"evrf2007 height"):
        catalogue.frame("EVRF2017")
    with pytest.raises(NoVerticalOperation, match="EPSG:5705@EE"):
        catalogue.frame("Baltic 1977")
