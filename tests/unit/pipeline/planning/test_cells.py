"""Cells of an area and the files that are named after them."""

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.planning.cells import cell_href, cells_in, template_files
from orograph.pipeline.sources.catalogue import CellTemplate

DEGREES = CellTemplate(kind="cells", href="dem_{ns}{lat:02d}_{ew}{lon:03d}.tif")
KILOMETRES = CellTemplate(kind="cells", href="dgm_{e_km}_{n_km}.tif", cell_m=1000.0, crs="EPSG:25832")


def test_degree_cells_are_counted_south_to_north_and_named():
    assert [cell.id for cell in cells_in((9.5, 46.9, 11.0, 47.1))] == ["N46E009", "N46E010", "N47E009", "N47E010"]
    assert cell_href(DEGREES, Cell(-1, -10)) == "dem_S01_W010.tif"


def test_squares_of_a_projected_grid_touch_the_box():
    found = template_files(KILOMETRES, (11.0, 48.0, 11.01, 48.01))
    names = {href for href, _ in found}
    assert 1 <= len(names) <= 6
    assert all(name.startswith("dgm_6") for name in names)
    assert all(shape.bounds[0] < 11.01 and shape.bounds[2] > 11.0 for _, shape in found)
    ((href, shape),) = template_files(DEGREES, (11.2, 48.2, 11.3, 48.3))
    assert (href, shape.bounds) == ("dem_N48_E011.tif", (11.0, 48.0, 12.0, 49.0))
