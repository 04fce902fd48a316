"""Sensor models: bundled by name, read from files, named by catalogue entries."""

from __future__ import annotations

import pytest
import yaml

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import SourceCatalogue, Thinning
from orograph.pipeline.sources.refs import FileRef, SourceRef
from orograph.pipeline.sources.sensor import SensorModel, bundled_sensor, bundled_sensors, read_sensor
from orograph.pipeline.superres.thinning_check import relies_on_thinning
from tests.support.made import source


def test_every_bundled_model_says_how_it_was_obtained():
    assert set(bundled_sensors()) == {"srtm", "nasadem", "glo-30", "aw3d30", "eu-dem"}
    for name, sensor in bundled_sensors().items():
        assert len(sensor.origin) > 40, name
        assert sensor.footprint_m > 0.0 < sensor.noise_m


def test_parameters_that_were_not_measured_are_named():
    assert bundled_sensor("srtm").assumed == ("noise_per_relief",)
    assert bundled_sensor("glo-30").assumed == ("noise_per_relief",)
    for name in ("nasadem", "aw3d30", "eu-dem"):
        sensor = bundled_sensor(name)
        assert {"footprint_m", "noise_m", "noise_per_slope_m", "canopy_share", "error_factor_per_slope"} <= set(
            sensor.assumed
        )
        assert "every value is assumed" in sensor.origin
    for name in ("nasadem", "eu-dem"):
        assert bundled_sensor(name).error_factor > bundled_sensor("srtm").error_factor
    assert SensorModel(footprint_m=0.0, noise_m=0.0).assumed == ()


def test_a_catalogue_entry_names_a_bundled_model_or_gives_its_own(tmp_path):
    entry = source(tmp_path / "a.tif").model_dump(mode="json", exclude={"sensor"})
    path = tmp_path / "catalogue.yaml"
    own = {"footprint_m": 11.0, "noise_m": 0.3}
    entries = [entry | {"id": "named", "sensor": "srtm"}, entry | {"id": "own", "sensor": own}]
    path.write_text(yaml.safe_dump({"sources": entries}))
    catalogue = SourceCatalogue.load(path)
    assert catalogue.get("named").sensor == bundled_sensor("srtm")
    assert catalogue.get("own").sensor == SensorModel(footprint_m=11.0, noise_m=0.3)
    path.write_text(yaml.safe_dump({"sources": [entry | {"sensor": "srtn"}]}))
    with pytest.raises(ConfigError, match=r"made\.sensor.*'srtn'.*bundled are srtm"):
        SourceCatalogue.load(path)


def test_a_model_is_read_by_name_or_from_a_file(tmp_path):
    assert read_sensor("glo-30") == bundled_sensor("glo-30")
    path = tmp_path / "own.yaml"
    path.write_text("{footprint_m: 20, footprint_rows_m: 12, noise_m: 1}")
    assert read_sensor(str(path)).sigmas_m == (20.0, 12.0)
    path.write_text("{footprint_m: 20}")
    with pytest.raises(ConfigError, match="noise_m"):
        read_sensor(str(path))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_sensor(str(tmp_path / "missing.yaml"))
    with pytest.raises(ConfigError, match="no sensor model is called 'tandem'"):
        read_sensor("tandem")


def test_declared_noise_makes_a_model_and_nothing_declared_makes_none(tmp_path):
    file = FileRef(href="a.tif", etag="x", size_bytes=1)

    def sensor_of(**described):
        return SourceRef(source=source(tmp_path / "a.tif", resolution_m=30.0, **described), files=(file,)).sensor

    assert sensor_of() is None
    made = sensor_of(noise_m=2.0, thinning=Thinning.AVERAGED)
    assert made is not None
    assert made.footprint_m == pytest.approx(8.66, abs=0.01)
    assert made.noise_m == 2.0
    assert sensor_of(noise_m=2.0, sensor=bundled_sensor("srtm")) == bundled_sensor("srtm")


def test_a_sensor_model_replaces_the_check_of_thinning(tmp_path):
    plain = source(tmp_path / "a.tif", resolution_m=30.0, thinning=Thinning.AVERAGED)
    settings = ProcessingSettings(superres="sensor")
    assert relies_on_thinning(plain, settings)
    assert not relies_on_thinning(plain.model_copy(update={"sensor": bundled_sensor("srtm")}), settings)
