"""The engine that the settings name."""

import pytest

from orograph.infra.engines.local import LocalEngine
from orograph.infra.engines.make import check_gpus, make_engine
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings, RunSettings


def test_settings_choose_the_engine():
    engine = make_engine(RunSettings(workers=3))
    assert isinstance(engine, LocalEngine)
    assert engine.name == "local"
    assert make_engine(RunSettings(engine="ray")).name == "ray"


def test_workers_have_the_gpus_that_the_processing_needs():
    cuda, ray = ProcessingSettings(device="cuda"), RunSettings(engine="ray")
    assert check_gpus(cuda, RunSettings()) is None
    with pytest.raises(ConfigError, match="keeps no GPU"):
        check_gpus(cuda, ray)
    with_gpus = RunSettings(engine="ray", gpus_per_worker=0.5)
    assert check_gpus(cuda, with_gpus) is None
    assert "nothing runs on them" in check_gpus(ProcessingSettings(), with_gpus)
