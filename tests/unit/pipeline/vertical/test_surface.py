"""Delta surfaces agree with their operation, bit for bit between windows."""

from __future__ import annotations

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import (
    ConfigError,
    OutsideAreaOfUse,
    SourceGridError,
)
from orograph.pipeline.vertical import (
    VerticalCatalogue,
    delta_surface,
)

CATALOGUE = VerticalCatalogue.load()


class TestDeltaSurface:
    def test_pixel_centres_are_exact_where_the_shift_is_linear(self, tmp_path):
        operation = CATALOGUE.operation("EPSG:7837", "EPSG:5621", grids_dir=tmp_path)
        whole = Tile(4300, 3000).geobox(100.0)
        surface = delta_surface(operation, whole)
        centre = whole[200:201, 130:131]
        lon, lat = Transformer.from_crs("EPSG:3035", "EPSG:4258", always_xy=True).transform(
            centre.affine.c + 50.0, centre.affine.f - 50.0
        )
        assert surface.sample(centre)[0, 0] == pytest.approx(operation.shift(lon, lat), abs=1e-6)
        assert surface.error_m < 1e-4

    def test_windows_agree_with_the_whole_bit_for_bit(self, shared):
        operation = CATALOGUE.operation("EPSG:5709", "EPSG:7837", grids_dir=shared("proj-grids"))
        whole = Tile(4050, 3150).geobox(100.0).pad(8)
        surface = delta_surface(operation, whole)
        part = surface.sample(whole[50:90, 13:77])
        assert np.isfinite(part).any()
        np.testing.assert_array_equal(surface.sample(whole)[50:90, 13:77], part)

    @pytest.mark.parametrize(
        ("frame", "tile"),
        [
            ("EPSG:5709", Tile(4000, 3200)),
            ("EPSG:5728", Tile(4150, 2600)),
            ("EPSG:5778", Tile(4500, 2700)),
            ("EPSG:5720", Tile(4000, 2450)),
            ("EPSG:5941", Tile(4150, 4250)),
        ],
    )
    def test_within_its_tolerance_on_real_geoids(self, shared, frame, tile):
        operation = CATALOGUE.operation(frame, "EPSG:4937", grids_dir=shared("proj-grids"))
        surface = delta_surface(operation, tile.geobox(100.0).pad(4))
        assert 0 < surface.error_m <= (0.010 if frame in {"EPSG:5778", "EPSG:5728"} else 0.002)

    def test_partly_outside_is_void_there_or_refused(self, tmp_path):
        operation = CATALOGUE.operation("EPSG:5709", "EPSG:5621", grids_dir=tmp_path)
        south = Tile(4000, 3050).geobox(100.0)
        shifts = delta_surface(operation, south).sample(south)
        assert 0 < np.isnan(shifts).sum() < shifts.size
        with pytest.raises(OutsideAreaOfUse):
            delta_surface(operation, south, partial=False)

    def test_wholly_outside_is_refused(self, tmp_path):
        operation = CATALOGUE.operation("EPSG:5709", "EPSG:5621", grids_dir=tmp_path)
        with pytest.raises(OutsideAreaOfUse, match="area of use"):
            delta_surface(operation, Tile(4500, 2650).geobox(100.0))

    def test_it_records_what_was_done(self, shared):
        operation = CATALOGUE.operation("EPSG:5710", "EPSG:5709", grids_dir=shared("proj-grids"))
        record = delta_surface(operation, Tile(3950, 3100).geobox(100.0)).record("flanders")
        assert record.steps == ("EPSG:9908", "EPSG:9283 (inverse)")
        assert set(record.grids) == {"be_ign_hBG18.tif", "nl_nsgi_nlgeo2018.tif"}
        assert -2.5 < record.shift_min_m <= record.shift_max_m < -2.2

    def test_geographic_grids_work_too(self, shared):
        operation = CATALOGUE.operation("EPSG:5773", "EPSG:4937", grids_dir=shared("proj-grids"))
        box = GeoBox.from_bbox((7.0, 43.0, 7.25, 43.25), "EPSG:4326", shape=(120, 120))
        shifts = delta_surface(operation, box).sample(box)
        assert shifts[0, 0] == pytest.approx(operation.shift(7.0 + 0.125 / 120, 43.25 - 0.125 / 120), abs=2e-3)

    def test_foreign_windows_are_refused(self, tmp_path):
        operation = CATALOGUE.operation("EPSG:7837", "EPSG:5621", grids_dir=tmp_path)
        box = Tile(4300, 3000).geobox(100.0)
        surface = delta_surface(operation, box)
        with pytest.raises(SourceGridError, match="beyond"):
            surface.sample(box.translate_pix(600, 0))
        with pytest.raises(SourceGridError, match="delta surface in"):
            surface.sample(GeoBox((4, 4), box.affine, "EPSG:25832"))
        with pytest.raises(ConfigError, match="spacing"):
            delta_surface(operation, box, spacing_m=0.0)
