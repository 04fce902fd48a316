"""Settings of cells: equal work has one key, however it was asked for."""

from __future__ import annotations

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.exports.cell_job import PRODUCTS, CellJob, CellSettings


def test_order_and_repetition_make_no_other_key() -> None:
    def key(**asked: tuple[str, ...]) -> str:
        return CellJob(Cell(47, 10), (), CellSettings.model_validate(asked)).run_key

    assert key(products=("hgt1", "geographic", "hgt1")) == key(products=("geographic", "hgt1"))
    assert key(contour_formats=("fgb", "shp")) == key(contour_formats=("shp", "fgb"))
    assert key(products=PRODUCTS[::-1]) == key()
    assert key(products=("hgt1",)) != key(products=("hgt3",))
