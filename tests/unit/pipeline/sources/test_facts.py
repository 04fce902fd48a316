"""Facts of a file, and their record in the manifest."""

import math

from affine import Affine

from orograph.pipeline.core.pixel_is import PixelIs
from orograph.pipeline.sources.facts import Declared, Facts, Word
from tests.support.worlds import SOURCE

FACTS = Facts(
    "a.tif",
    Affine(10, 0, 100, 0, -10, 500),
    (20, 30),
    (math.nan, -9999.0),
    "int16",
    scale=0.1,
    said_by=(("unit", "file"),),
)


def test_bounds_and_conversion():
    assert FACTS.bounds == (100, 300, 400, 500)
    assert FACTS.converted
    assert not Facts("a.tif", FACTS.affine, (1, 1), (), "float32").converted


def test_the_record_is_json_and_names_unusual_orders():
    record = FACTS.record()
    assert record["nodata"] == ["nan", -9999.0]
    assert record["said_by"] == {"unit": "file"}
    assert record["pixel_is"] == PixelIs.AREA.value
    assert "order" not in record
    turned = Facts("a.tif", FACTS.affine, (1, 1), (), "float32", mirrored=True, upside_down=True)
    assert turned.record()["order"] == ["columns from the east", "rows from the south"]


def test_a_catalogue_entry_declares_its_facts():
    declared = Declared.of(SOURCE)
    assert (declared.by, declared.source, declared.vertical_frame) == (Word.CATALOGUE, "made", "EPSG:5621")
