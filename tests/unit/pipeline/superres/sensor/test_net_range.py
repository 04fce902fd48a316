"""Range of the network for sensors: the bundled sensors are inside, and each limit is named."""

import pytest

from orograph.pipeline.sources.sensor import read_sensor
from orograph.pipeline.superres.sensor.net_range import FACTOR, not_trained

SRTM = read_sensor("srtm")
PIXEL_M = (21.2, 30.9)


@pytest.mark.parametrize("name", ["srtm", "glo-30"])
def test_bundled_sensors_are_inside(name):
    assert not_trained(read_sensor(name), FACTOR, PIXEL_M) is None


@pytest.mark.parametrize(
    ("sensor", "factor", "pixel_m", "named"),
    [
        (None, FACTOR, PIXEL_M, "without a sensor model"),
        (SRTM, 2, PIXEL_M, "factor of 2"),
        (SRTM, FACTOR, (90.0, 90.0), "pixels of 90.0 m"),
        (SRTM, FACTOR, (21.2, 10.0), "pixels of 10.0 m"),
        (SRTM.model_copy(update={"noise_m": 11.0}), FACTOR, PIXEL_M, "noise of 11 m"),
        (SRTM.model_copy(update={"noise_range_m": 90.0}), FACTOR, PIXEL_M, "range of 90 m"),
    ],
)
def test_the_first_property_outside_is_named(sensor, factor, pixel_m, named):
    assert named in str(not_trained(sensor, factor, pixel_m))
