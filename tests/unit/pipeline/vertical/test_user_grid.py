"""A user's grid is checked before it is used."""

import hashlib

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from orograph.pipeline.errors import GridCorrupt, GridMissing, VerticalError
from orograph.pipeline.sources.catalogue import UserGrid
from orograph.pipeline.vertical.entries import ELLIPSOID
from orograph.pipeline.vertical.user_grid import user_step


def made(path, value, crs="EPSG:4258"):
    profile = {"driver": "GTiff", "width": 9, "height": 7, "count": 1, "dtype": "float32", "crs": crs}
    with rasterio.open(path, "w", **profile, transform=from_origin(4.875, 52.125, 0.25, 0.25)) as file:
        file.write(np.full((7, 9), value, np.float32), 1)
    return UserGrid(
        path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), accuracy_m=0.02, frame_to=ELLIPSOID
    )


def test_a_geoid_leads_to_the_ellipsoid_within_its_cell_centres(tmp_path):
    step, leads_to = user_step(made(tmp_path / "geoid.tif", 45.0), "EPSG:5621")
    assert leads_to == ELLIPSOID
    assert (step.area.west, step.area.north) == (5.0, 52.0)
    assert step.accuracy_m == 0.02
    assert "vgridshift" in step.proj


def test_a_shift_of_tens_of_metres_is_a_geoid_by_mistake(tmp_path):
    grid = made(tmp_path / "geoid.tif", 45.0).model_copy(update={"frame_to": "EPSG:5621"})
    with pytest.raises(VerticalError, match=r"45\.0 m"):
        user_step(grid, "EPSG:5621")


def test_other_files_are_rejected(tmp_path):
    with pytest.raises(GridCorrupt, match="not in degrees"):
        user_step(made(tmp_path / "metres.tif", 45.0, "EPSG:3035"), "EPSG:5621")
    changed = made(tmp_path / "a.tif", 45.0).model_copy(update={"sha256": "0" * 64})
    with pytest.raises(GridCorrupt):
        user_step(changed, "EPSG:5621")
    with pytest.raises(GridMissing):
        user_step(changed.model_copy(update={"path": str(tmp_path / "none.tif")}), "EPSG:5621")
