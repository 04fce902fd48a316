"""Vertical operations: pinned, verified, refused where they do not serve."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from orograph.pipeline.errors import (
    EpochMissing,
    GridCorrupt,
    GridMissing,
    NoVerticalOperation,
    OutsideAreaOfUse,
    SourceGridError,
    VerticalError,
    VerticalFrameMissing,
)
from orograph.pipeline.formats.vertical_datum import declared_datum, vertical_tags
from orograph.pipeline.sources.catalogue import UserGrid
from orograph.pipeline.vertical import (
    Area,
    VerticalCatalogue,
    compound_crs,
)

CATALOGUE = VerticalCatalogue.load()
VAALS = (6.0209, 50.7546)


def make_grid(path: Path, values: np.ndarray, *, west=5.0, north=52.0, step=0.25) -> UserGrid:
    """A geoid grid as a user has one: plain GeoTIFF in degrees, no PROJ tags."""
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:4258"}
    transform = from_origin(west - step / 2, north + step / 2, step, step)
    with rasterio.open(
        path, "w", height=values.shape[0], width=values.shape[1], transform=transform, **profile
    ) as file:
        file.write(values.astype(np.float32), 1)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return UserGrid(path=str(path), sha256=digest, accuracy_m=0.02)


def test_a_missing_grid_is_named_with_the_remedy(tmp_path):
    with pytest.raises(GridMissing, match=r"nl_nsgi_nlgeo2018.tif.*orograph grids fetch nl_nsgi_nlgeo2018.tif"):
        CATALOGUE.operation("EPSG:5709", "EPSG:7837", grids_dir=tmp_path)


def test_a_changed_grid_is_refused(shared, tmp_path):
    path = tmp_path / "nl_nsgi_nlgeo2018.tif"
    path.write_bytes(shared("proj-grids/nl_nsgi_nlgeo2018.tif").read_bytes())
    operation = CATALOGUE.operation("EPSG:5709", "EPSG:4937", grids_dir=tmp_path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(GridCorrupt, match="pinned"):
        CATALOGUE.operation("EPSG:5709", "EPSG:4937", grids_dir=tmp_path)
    with pytest.raises(GridCorrupt, match="pinned"):
        operation.shift(5.0, 52.0)


def test_known_shifts_through_the_ellipsoid(shared):
    grids = shared("proj-grids")
    nap_to_dhhn = CATALOGUE.operation("EPSG:5709", "EPSG:7837", grids_dir=grids)
    assert nap_to_dhhn.shift(*VAALS) == pytest.approx(0.0417, abs=1e-4)
    ostend_to_nap = CATALOGUE.operation("EPSG:5710", "EPSG:5709", grids_dir=grids)
    assert ostend_to_nap.shift(*VAALS) == pytest.approx(-2.3683, abs=1e-4)
    assert [grid.name for grid in ostend_to_nap.grids] == ["be_ign_hBG18.tif", "nl_nsgi_nlgeo2018.tif"]
    assert ostend_to_nap.labels == ("EPSG:9908", "EPSG:9283 (inverse)")


def test_swapped_axes_are_refused_with_a_hint(tmp_path):
    operation = CATALOGUE.operation("EPSG:5709", "EPSG:5621", grids_dir=tmp_path)
    with pytest.raises(OutsideAreaOfUse, match="swapped"):
        operation.shift(52.0, 5.0)


def test_arrays_are_void_outside_the_area(tmp_path):
    operation = CATALOGUE.operation("EPSG:7837", "EPSG:5621", grids_dir=tmp_path)
    shifts = operation.shift(np.array([10.0, 30.0]), np.array([50.0, 50.0]))
    assert np.isfinite(shifts).tolist() == [True, False]


def test_each_point_without_a_value_has_its_reason(tmp_path):
    operation = CATALOGUE.operation("EPSG:7837", "EPSG:5621", grids_dir=tmp_path)
    inside, outside = operation.reasons(np.array([10.0, 30.0]), np.array([50.0, 50.0]))
    assert inside == ""
    assert outside == "outside the area of use of EPSG:7838: 5.86 to 15.04 E, 47.27 to 55.09 N"


def test_operations_survive_pickling(shared):
    operation = CATALOGUE.operation("EPSG:5720", "EPSG:5773", grids_dir=shared("proj-grids"))
    twin = pickle.loads(pickle.dumps(operation))  # noqa: S301 - our own bytes
    assert twin == operation
    assert twin.shift(6.5, 44.0) == operation.shift(6.5, 44.0)


def test_grid_folders_may_have_blanks_but_no_commas(shared, tmp_path):
    for name in ("a folder", "a,b"):
        (tmp_path / name).mkdir()
        shutil.copy(shared("proj-grids/be_ign_hBG18.tif"), tmp_path / name)
    operation = CATALOGUE.operation("EPSG:5710", "EPSG:4937", grids_dir=tmp_path / "a folder")
    assert operation.shift(4.5, 50.5) == pytest.approx(45.1, abs=2.0)
    with pytest.raises(GridMissing, match="comma"):
        CATALOGUE.operation("EPSG:5710", "EPSG:4937", grids_dir=tmp_path / "a,b")


def test_dynamic_frames_ask_for_an_epoch(shared):
    grids = shared("proj-grids")
    with pytest.raises(EpochMissing, match="epoch"):
        CATALOGUE.operation("EPSG:7912", "EPSG:5709", grids_dir=grids)
    early = CATALOGUE.operation("EPSG:7912", "EPSG:4937", grids_dir=grids, epoch=2012.5)
    late = CATALOGUE.operation("EPSG:7912", "EPSG:4937", grids_dir=grids, epoch=2024.0)
    assert early.shift(*VAALS) == pytest.approx(-0.01, abs=0.006)
    assert late.shift(*VAALS) == pytest.approx(-0.02, abs=0.006)


class TestUserGrid:
    def test_a_geoid_leads_to_the_ellipsoid(self, tmp_path):
        grid = make_grid(tmp_path / "geoid.tif", np.add.outer(np.arange(9.0), np.arange(9.0)) + 40)
        operation = CATALOGUE.operation("mine", "EPSG:4937", grids_dir=tmp_path, user_grid=grid)
        assert operation.shift(5.125, 51.625) == pytest.approx(42.0, abs=1e-5)
        assert operation.accuracy_m == pytest.approx(0.02)

    def test_nothing_is_extrapolated(self, tmp_path):
        grid = make_grid(tmp_path / "geoid.tif", np.full((9, 9), 45.0))
        operation = CATALOGUE.operation("mine", "EPSG:4937", grids_dir=tmp_path, user_grid=grid)
        with pytest.raises(OutsideAreaOfUse):
            operation.shift(4.9, 51.75)

    def test_it_goes_on_by_a_national_geoid(self, shared, tmp_path):
        grid = make_grid(tmp_path / "geoid.tif", np.full((9, 9), 45.0))
        operation = CATALOGUE.operation("mine", "EPSG:5709", grids_dir=shared("proj-grids"), user_grid=grid)
        down = CATALOGUE.operation("EPSG:4937", "EPSG:5709", grids_dir=shared("proj-grids"))
        assert operation.shift(6.0, 51.5) == pytest.approx(45.0 + down.shift(6.0, 51.5), abs=1e-5)

    def test_for_evrf2019_it_is_the_shift_itself(self, tmp_path):
        grid = make_grid(tmp_path / "nl_2019z.tif", np.full((9, 9), 0.015))
        operation = CATALOGUE.operation("EPSG:5709", "EPSG:9389", grids_dir=tmp_path, user_grid=grid)
        assert operation.shift(6.0, 51.5) == pytest.approx(0.015, abs=1e-6)

    def test_a_shift_to_a_named_frame_is_never_taken_for_a_geoid(self, tmp_path):
        """A grid to EVRF2007 goes on from EVRF2007: to NAP by the derived constant, not by the Dutch geoid."""
        grid = make_grid(tmp_path / "shift.tif", np.full((9, 9), 0.5)).model_copy(update={"frame_to": "EPSG:5621"})
        direct = CATALOGUE.operation("mine", "EPSG:5621", grids_dir=tmp_path, user_grid=grid)
        assert direct.shift(6.0, 51.5) == pytest.approx(0.5)
        further = CATALOGUE.operation("mine", "EPSG:5709", grids_dir=tmp_path, user_grid=grid)
        assert further.shift(6.0, 51.5) == pytest.approx(0.5 - 0.028)
        with pytest.raises(NoVerticalOperation, match="nothing leads on"):
            CATALOGUE.operation("mine", "EPSG:4937", grids_dir=tmp_path, user_grid=grid)
        geoid = make_grid(tmp_path / "geoid.tif", np.full((9, 9), 45.0)).model_copy(update={"frame_to": "EPSG:5621"})
        with pytest.raises(VerticalError, match="too much"):
            CATALOGUE.operation("mine", "EPSG:5621", grids_dir=tmp_path, user_grid=geoid)

    def test_a_geoid_is_no_shift_to_evrf2019(self, tmp_path):
        grid = make_grid(tmp_path / "geoid.tif", np.full((9, 9), 45.0))
        with pytest.raises(VerticalError, match="too much"):
            CATALOGUE.operation("EPSG:5709", "EPSG:9389", grids_dir=tmp_path, user_grid=grid)

    def test_another_file_under_the_name_is_refused(self, tmp_path):
        grid = make_grid(tmp_path / "geoid.tif", np.full((9, 9), 45.0))
        make_grid(tmp_path / "geoid.tif", np.full((9, 9), 46.0))
        with pytest.raises(GridCorrupt):
            CATALOGUE.operation("mine", "EPSG:4937", grids_dir=tmp_path, user_grid=grid)

    def test_without_a_way_down_it_is_refused(self, tmp_path):
        grid = make_grid(tmp_path / "geoid.tif", np.full((9, 9), 45.0))
        with pytest.raises(NoVerticalOperation, match="nothing leads on"):
            CATALOGUE.operation("mine", "EPSG:5621", grids_dir=tmp_path, user_grid=grid)


class TestCompoundCrs:
    def test_both_parts_are_kept(self):
        crs = compound_crs("EPSG:3035", "EPSG:5621")
        assert [part.to_epsg() for part in crs.sub_crs_list] == [3035, 5621]
        assert compound_crs("EPSG:3035", "EPSG:8357@CZ").sub_crs_list[1].to_epsg() == 8357

    def test_ellipsoidal_frames_give_three_axes(self):
        assert len(compound_crs("EPSG:3035", "EPSG:4937").axis_info) == 3

    @pytest.mark.parametrize("frame", ["EPSG:5621", "EPSG:5730", "EPSG:8357@CZ", "EPSG:4937"])
    def test_metadata_names_the_datum(self, frame):
        tags = vertical_tags(frame)
        code = frame.partition("@")[0]
        assert declared_datum(pyproj.CRS(3035), tags) == code
        assert tags["VERTICAL_DATUM_NAME"] == pyproj.CRS(code).name
        assert declared_datum(pyproj.CRS(3035), {}) is None
        assert declared_datum(compound_crs("EPSG:3035", "EPSG:5709"), {}) == "EPSG:5709"

    def test_a_frame_without_a_code_cannot_be_named(self):
        with pytest.raises(VerticalFrameMissing):
            vertical_tags("mine")

    def test_what_is_no_frame_is_refused(self):
        with pytest.raises(VerticalFrameMissing):
            compound_crs("EPSG:3035", "mine")
        with pytest.raises(VerticalFrameMissing):
            compound_crs("EPSG:3035", "EPSG:4326")
        with pytest.raises(SourceGridError):
            compound_crs("EPSG:7423", "EPSG:5621")


@settings(max_examples=60, deadline=None)
@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
def test_a_height_is_moved_or_void_never_left_alone(lon, lat):
    operation = CATALOGUE.operation("EPSG:5710", "EPSG:5621", grids_dir=Path("/nowhere"))
    shift = operation.shift(np.array([lon]), np.array([lat]))[0]
    inside = Area(2.5, 49.5, 6.4, 51.51).holds(np.array([lon]), np.array([lat]))[0]
    assert (-2.34 < shift < -2.28) if inside else np.isnan(shift)


def test_cells_beside_a_grids_voids_count_as_void(tmp_path):
    """PROJ averages the corners that are left there, a step of centimetres; a height is not guessed."""
    values = np.add.outer(np.arange(9.0), np.arange(9.0)) + 40
    values[4, 4] = np.nan
    grid = make_grid(tmp_path / "geoid.tif", values)
    operation = CATALOGUE.operation("mine", "EPSG:4937", grids_dir=tmp_path, user_grid=grid)
    lon = np.array([5.6, 5.9, 6.1, 6.4])
    shifts = operation.shift(lon, np.full(4, 51.1))
    assert np.isfinite(shifts).tolist() == [True, False, False, True]


def test_another_grid_at_the_same_path_gives_its_own_shifts(tmp_path):
    path = tmp_path / "own.tif"
    found = []
    for value_m in (45.0, 50.0):
        profile = {"driver": "GTiff", "width": 40, "height": 40, "count": 1, "dtype": "float32", "crs": "EPSG:4258"}
        with rasterio.open(tmp_path / "made.tif", "w", transform=from_origin(5, 50, 0.1, 0.1), **profile) as file:
            file.write(np.full((1, 40, 40), value_m, np.float32))
        (tmp_path / "made.tif").replace(path)
        grid = UserGrid(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), accuracy_m=0.05)
        operation = VerticalCatalogue.load().operation("EPSG:5783", "EPSG:4937", grids_dir=tmp_path, user_grid=grid)
        found.append(operation.shift(6.0, 49.0))
    assert found == pytest.approx([45.0, 50.0])
