"""Points whose shifts the agencies published themselves."""

from __future__ import annotations

import pytest
from pyproj import Transformer

from orograph.pipeline.vertical import VerticalCatalogue

CATALOGUE = VerticalCatalogue.load()
# Undulations of EGM08-REDNAP at six points by IGN Spain: longitude and latitude (degrees, minutes, seconds), N.
REDNAP = [
    ((-3, 42, 0), (40, 27, 0), 51.113),
    ((-1, 55, 12), (41, 25, 12), 51.877),
    ((-4, 52, 36), (39, 23, 45), 54.144),
    ((1, 12, 22), (42, 12, 12), 51.603),
    ((-5, 22, 13), (39, 42, 6), 53.873),
    ((-2, 22, 0), (38, 12, 0), 52.853),
]


def degrees(whole: int, minutes: float, seconds: float) -> float:
    return (-1 if whole < 0 else 1) * (abs(whole) + minutes / 60 + seconds / 3600)


@pytest.mark.parametrize(("lon", "lat", "undulation_m"), REDNAP)
def test_rednap(shared, lon, lat, undulation_m):
    operation = CATALOGUE.operation("EPSG:5782", "EPSG:4937", grids_dir=shared("proj-grids"))
    assert operation.shift(degrees(*lon), degrees(*lat)) == pytest.approx(undulation_m, abs=0.001)


def test_bev_hoehengrid_in_degrees_of_mgi(shared):
    """The example of EPSG method 1080: the grid is laid out in MGI, 100 m beside ETRS89."""
    lon, lat = Transformer.from_pipeline("urn:ogc:def:coordinateOperation:EPSG::1618").transform(
        48.27091391, 16.29473899
    )[1::-1]
    operation = CATALOGUE.operation("EPSG:5778", "EPSG:9274", grids_dir=shared("proj-grids"))
    assert operation.shift(lon, lat) == pytest.approx(-0.463, abs=0.002)
    back = CATALOGUE.operation("EPSG:9274", "EPSG:5778", grids_dir=shared("proj-grids"))
    assert back.shift(lon, lat) == pytest.approx(0.463, abs=0.002)


def test_bev_geoid(shared):
    """The example of EPSG method 1081."""
    operation = CATALOGUE.operation("EPSG:5778", "EPSG:4937", grids_dir=shared("proj-grids"))
    assert operation.shift(15.28122821, 48.829794943) == pytest.approx(46.20, abs=0.006)


# The Dutch agency's own points for RDNAP: ETRS89 latitude, longitude, ellipsoidal height and NAP height.
RDNAP = [
    (53.160753042, 4.824761912, 42.8614, 1.0),
    (53.419482050, 6.776726674, 42.3586, 2.0),
    (52.155172897, 5.387203657, 43.2551, 0.0),
    (51.368607152, 3.397588595, 47.4024, 3.0),
]


@pytest.mark.parametrize(("lat", "lon", "ellipsoidal_m", "nap_m"), RDNAP)
def test_rdnap(shared, lat, lon, ellipsoidal_m, nap_m):
    """These points belong to the 2008 geoid; the 2018 one differs by millimetres to two centimetres."""
    operation = CATALOGUE.operation("EPSG:4937", "EPSG:5709", grids_dir=shared("proj-grids"))
    assert ellipsoidal_m + operation.shift(lon, lat) == pytest.approx(nap_m, abs=0.03)
