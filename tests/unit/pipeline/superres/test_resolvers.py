"""Resolvers by name, and the options they take."""

import pytest

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.superres.resolvers import (
    check_resolver,
    resolver,
    resolver_names,
    takes_options,
    takes_sensor,
)


def test_names_are_sorted_and_each_is_accepted():
    names = resolver_names()
    assert list(names) == sorted(names)
    assert {"nearest", "keys6", "best-linear", "sensor", "superres-s"} <= set(names)
    for name in names:
        check_resolver(name)


def test_only_networks_and_the_users_weights_take_options():
    assert takes_options("superres-xs")
    assert takes_options("own.safetensors")
    assert not takes_options("keys6")
    assert takes_sensor("sensor")
    assert not takes_sensor("superres-xs")


@pytest.mark.parametrize("name", ["", "keys7", "Keys6"])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(ConfigError) as caught:
        resolver(name)
    assert "keys6" in caught.value.remedy


def test_options_of_an_interpolant_are_rejected_by_name():
    with pytest.raises(ConfigError, match="device, ensemble"):
        check_resolver("keys6", {"ensemble": True, "device": "cpu"})
