"""The implicit product of a tile."""

from __future__ import annotations

from pathlib import Path

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.implicit.asset import implicit_product
from orograph.pipeline.implicit.model import ImplicitModel
from tests.support.implicit_world import box, ground


def test_product_of_a_tile(tmp_path: Path) -> None:
    raster = Raster(ground(100, 100), box(100, 100), "EPSG:5621", Surface.DTM)
    product = implicit_product(raster, tmp_path)
    model = ImplicitModel.load(product.path)
    assert model.frame == "EPSG:5621"
    assert product.info.name == "implicit"
    assert f"{model.statistics.rmse_m:.2f}" in product.info.title
