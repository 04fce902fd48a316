"""Windows of a source on a common grid."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.borders.reading import OpenSource, slope_degrees
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.sources.catalogue import Files, Portal
from tests.support.made import write_source
from tests.support.worlds import SOURCE

BOUNDS = (4_210_000.0, 3_010_000.0, 4_212_000.0, 3_012_000.0)


def test_heights_are_read_where_files_are_and_void_elsewhere(tmp_path):
    path = write_source(tmp_path / "a.tif", "EPSG:3035", BOUNDS, 100)
    source = SOURCE.model_copy(update={"resolution_m": 100.0, "data": Files(hrefs=(str(tmp_path / "*.tif"),))})
    with OpenSource(source) as opened:
        assert opened.bounds_m == pytest.approx(BOUNDS)
        box = GeoBox((10, 40), Affine(100, 0, BOUNDS[0], 0, -100, BOUNDS[3]), "EPSG:3035")
        heights = opened.read(box)
        assert opened.window_px(box) == 4096
    assert path.exists()
    assert np.isfinite(heights[:, :20]).all()
    assert np.isnan(heights[:, 20:]).all()


def test_a_source_without_local_files_is_rejected():
    portal = SOURCE.model_copy(update={"data": Portal(kind="portal", href="https://host/", how="click")})
    with pytest.raises(ConfigError, match="no local files"), OpenSource(portal):
        pass


def test_slopes_next_to_voids_are_infinite():
    cols = np.tile(np.arange(6, dtype=np.float32) * 10, (5, 1))
    steep = slope_degrees(cols, 10.0)
    np.testing.assert_allclose(steep[1:-1, 1:-1], 45.0)
    cols[2, 2] = np.nan
    assert np.isinf(slope_degrees(cols, 10.0)[2, 1])
    assert np.isinf(steep[0]).all()
