"""Bundled resolvers are made by name, with their partners where an ensemble is asked for."""

from orograph.pipeline.core.bundled_weights import bundled_index
from orograph.pipeline.superres.bundled import bundled_factories
from orograph.pipeline.superres.ensemble import Ensemble


def test_every_indexed_network_and_both_filters_have_a_factory():
    assert set(bundled_factories()) == {*bundled_index("superres"), "best-linear", "sensor", "sensor-net"}


def test_filters_are_made_under_their_name():
    made = bundled_factories()
    assert made["best-linear"]().name == "best-linear"
    assert made["sensor"]().name == "sensor"


def test_a_partner_joins_an_ensemble_only():
    made = bundled_factories()
    assert not isinstance(made["superres-xs"](), Ensemble)
    partners = [name for name, entry in bundled_index("superres").items() if entry.get("ensemble_with")]
    assert partners
    assert isinstance(made[partners[0]](ensemble=True), Ensemble)
