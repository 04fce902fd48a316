"""What goes into a run key, and what the networks are asked for."""

from __future__ import annotations

import pytest

from orograph.infra.engines.make import check_gpus
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.pipeline.superres import resolver


def test_every_setting_is_part_of_the_key():
    assert ProcessingSettings().identity().keys() == ProcessingSettings.model_fields.keys()


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"superres_ensemble": True}, {"ensemble": True}),
        ({"superres_gate": True}, {"gate": True}),
        ({"superres_precision": "bf16"}, {"precision": "bf16"}),
        ({"superres_precision": "tf32"}, {"precision": "tf32"}),
    ],
)
def test_what_a_network_is_asked_for_is_part_of_the_key(change, asked):
    settings = ProcessingSettings(superres="superres-s", **change)
    assert settings.superres_options == asked
    assert change.items() <= settings.identity().items()


def test_an_interpolant_takes_no_options():
    with pytest.raises(ConfigError, match="'keys6' takes no options, given are ensemble") as caught:
        resolver("keys6", ensemble=True)
    assert "superres-s" in caught.value.remedy


def test_gpus_and_what_runs_on_them_go_together():
    on_gpu, here = ProcessingSettings(superres="superres-s", device="cuda"), ProcessingSettings()
    with pytest.raises(ConfigError, match="Ray keeps no GPU"):
        check_gpus(on_gpu, RunSettings(engine="ray"))
    assert check_gpus(on_gpu, RunSettings(engine="ray", gpus_per_worker=0.25)) is None
    assert check_gpus(on_gpu, RunSettings(engine="local")) is None
    assert "device=cuda" in str(check_gpus(here, RunSettings(engine="ray", gpus_per_worker=1)))
    assert check_gpus(here, RunSettings(engine="ray")) is None


def test_the_device_is_no_option_of_a_resolver():
    on_gpu = ProcessingSettings(device="cuda")
    assert on_gpu.identity()["device"] == "cuda"
    assert on_gpu.superres_options == {}, "interpolants take none, and the tile gives it to networks"
