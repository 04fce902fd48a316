"""What `superres=auto` takes for each source."""

import pytest

from orograph.pipeline.planning.check_settings import check_settings, runs_on_device
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.sensor import SensorModel, bundled_sensor
from orograph.pipeline.superres.choice import upsampling_of
from tests.support.made import source

SETTINGS = ProcessingSettings(superres="auto")


@pytest.mark.parametrize(
    ("described", "name", "reason"),
    [
        ({"sensor": bundled_sensor("srtm"), "surface": "DSM"}, "sensor", "measured"),
        ({"sensor": bundled_sensor("glo-30"), "surface": "DSM"}, "sensor", "measured"),
        ({"sensor": bundled_sensor("aw3d30"), "surface": "DSM"}, "keys6", "not measured"),
        ({"sensor": SensorModel(footprint_m=20.0, noise_m=1.0)}, "keys6", "not measured"),
        ({"surface": "DSM"}, "keys6", "without a sensor model"),
        ({}, "superres-s", "factor"),
        ({"resolution_m": 20.0}, "keys6", "factor 2"),
    ],
)
def test_only_what_was_shown_to_help_is_taken(tmp_path, described, name, reason):
    made = source(tmp_path / "a.tif", **{"resolution_m": 30.0, **described})
    choice = upsampling_of(made, SETTINGS)
    assert choice.name == name
    assert reason in choice.reason
    assert upsampling_of(made, ProcessingSettings(superres="bspline")) == ("bspline", "requested")


def test_auto_is_a_setting_that_planning_accepts():
    check_settings(SETTINGS)
    assert runs_on_device(SETTINGS)


@pytest.mark.parametrize(
    ("described", "name", "reason"),
    [
        ({"sensor": bundled_sensor("srtm")}, "sensor-net", "requested"),
        ({"sensor": SensorModel(footprint_m=60.0, noise_m=1.0)}, "sensor", "a footprint of 60 m"),
        ({"sensor": bundled_sensor("srtm"), "resolution_m": 20.0}, "sensor", "a factor of 2"),
        ({}, "sensor", "without a sensor model"),
    ],
)
def test_the_network_for_sensors_gives_way_to_the_filter(tmp_path, described, name, reason):
    made = source(tmp_path / "a.tif", **{"resolution_m": 30.0, **described})
    choice = upsampling_of(made, ProcessingSettings(superres="sensor-net"))
    assert choice.name == name
    assert reason in choice.reason
