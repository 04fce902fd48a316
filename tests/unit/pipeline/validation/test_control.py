"""Control points from every format."""

from __future__ import annotations

import json
import sqlite3
import zipfile

import numpy as np
import pytest
import shapely

from orograph.pipeline.validation import ControlColumns, read_control
from tests.support.validation_made import CONTROL, FRAME, csv_of


def test_every_format_gives_the_same_points(folder, points):
    x, y, h = points["x"], points["y"], points["h"]
    plain = csv_of(folder, points, "bare.txt", header="")
    with zipfile.ZipFile(folder / "bare.txt.zip", "w") as archive:
        archive.write(plain, "bare.txt")
    shapes = shapely.to_wkb(shapely.points(x, y, h))
    from pyogrio.raw import write

    write(folder / "points.gpkg", shapes, [h], ["height"], geometry_type="Point Z", crs="EPSG:3035+5621", driver="GPKG")
    import pyarrow as pa
    import pyarrow.parquet as pq

    meta = {
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "crs": json.loads(pyogrio_crs("EPSG:3035"))}},
        "version": "1.0.0",
    }
    table = pa.table({"h_mean": h, "geometry": shapes.tolist()}).replace_schema_metadata({"geo": json.dumps(meta)})
    pq.write_table(table, folder / "points.parquet")
    layout = ControlColumns(x="1", y="2", height="3", crs="EPSG:3035")
    for path, how in (
        (folder / "bare.txt.zip", layout),
        (folder / "points.gpkg", None),
        (folder / "points.parquet", None),
    ):
        control = read_control(path, how)
        np.testing.assert_allclose(control.x, x, atol=1e-3)
        np.testing.assert_allclose(control.height_m, h, atol=1e-3)
        assert control.crs.to_epsg() == 3035
    assert read_control(folder / "points.gpkg").frame == FRAME
    assert sqlite3.connect(folder / "points.gpkg").execute("select count(*) from points").fetchone() == (4000,)


def pyogrio_crs(code):
    from pyproj import CRS

    return CRS.from_user_input(code).to_json()


def test_icesat_granules_are_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "atl06.h5", "w") as file:
        group = file.create_group("gt1l/land_ice_segments")
        for name, values in (
            ("longitude", [10.0, 10.1, 10.2]), ("latitude", [47.0, 47.1, 47.2]), ("h_li", [500.0, 3.4e38, 502.0]),
            ("h_li_sigma", [0.1, 3.4e38, 0.2]), ("atl06_quality_summary", [0, 0, 1]),
        ):  # fmt: skip
            group[name] = np.array(values)
        terrain = file.create_group("gt2r/land_segments")
        for name, values in (
            ("longitude", [11.0]), ("latitude", [46.0]), ("terrain/h_te_best_fit", [700.0]),
            ("terrain/h_te_uncertainty", [3.4e38]),
        ):  # fmt: skip
            terrain[name] = np.array(values, np.float32)
    control = read_control(tmp_path / "atl06.h5")
    assert control.height_m.tolist() == [500.0, 700.0]
    assert control.sigma_m[0] == 0.1
    assert np.isnan(control.sigma_m[1])
    assert control.frame == "EPSG:7912"


@pytest.mark.skipif(not CONTROL.is_dir(), reason="needs ../shared/data/control")
def test_a_sample_of_satellite_altimetry_is_read():
    control = read_control(next(CONTROL.glob("icesat2*.parquet")))
    assert control.count > 10_000
    assert control.frame == "EPSG:7912"
    assert np.isfinite(control.sigma_m).mean() > 0.9
    assert "80" in set(control.cover)
