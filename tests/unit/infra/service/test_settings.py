"""An open service is reached from this machine only."""

import pytest

from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline.errors import ConfigError


def test_a_loopback_service_is_open_and_any_other_wants_keys():
    assert ServiceSettings.with_flags().who == "off"
    assert ServiceSettings.with_flags(host="0.0.0.0").who == "run"
    with pytest.raises(ConfigError, match="everyone order work"):
        ServiceSettings.with_flags(host="0.0.0.0", auth="off")


def test_only_its_own_names_are_answered():
    assert ServiceSettings.with_flags().hosts == ("localhost", "127.0.0.1", "[::1]")
    assert ServiceSettings.with_flags(public_url="https://maps.example/dem").hosts[-1] == "maps.example"
    assert ServiceSettings.with_flags(host="0.0.0.0").hosts == ()


def test_a_public_url_must_be_one():
    with pytest.raises(ConfigError, match="public_url"):
        ServiceSettings.with_flags(public_url="maps.example")
