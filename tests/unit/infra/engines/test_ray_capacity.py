"""How many actors a run asks for as its cluster changes."""

from __future__ import annotations

from typing import Any

import pytest

from orograph.infra.engines.ray_capacity import Capacity, Demand, capacity_of, check_fits
from orograph.pipeline.errors import ResourcesMissing


class Nodes:
    """Answers as the ray module does."""

    def __init__(self, *nodes: tuple[str, bool, dict[str, float]]) -> None:
        self._nodes = nodes

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": node, "Alive": alive, "Resources": has} for node, alive, has in self._nodes]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0, "node:10.0.0.1": 1.0}


def test_room_is_counted_on_living_nodes() -> None:
    nodes = Nodes(("a", True, {"CPU": 4.0}), ("b", True, {"CPU": 4.0, "GPU": 1.0}), ("c", False, {"CPU": 64.0}))
    assert capacity_of(nodes, {"CPU": 1.0}).rooms == {"a": 4, "b": 4}
    assert capacity_of(nodes, {"CPU": 1.0, "GPU": 0.25}).rooms == {"b": 4}
    assert capacity_of(nodes, {"CPU": 1.0}).without({"b": "set aside"}).total == 4


@pytest.mark.parametrize(
    ("rooms", "workers", "grows", "target"),
    [
        ({}, 0, True, 16),  # from zero: pending actors make nodes start
        ({"a": 16}, 0, True, 32),
        ({"a": 16, "b": 16}, 0, True, 64),
        ({"a": 16}, 0, False, 16),
        ({"a": 16}, 4, False, 4),
        ({"a": 2}, 4, False, 2),
        ({"a": 2}, 256, True, 256),
        ({}, 4, False, 0),
    ],
)
def test_targets(rooms: dict[str, int], workers: int, grows: bool, target: int) -> None:
    assert Capacity(rooms).target(Demand({"CPU": 1.0}, workers, grows)) == target


def test_what_no_node_has_is_rejected_unless_the_cluster_grows() -> None:
    demand = {"CPU": 1.0, "GPU": 0.25}
    check_fits(Nodes(), Demand(demand, grows=True), Capacity())
    with pytest.raises(ResourcesMissing, match=r"GPU 0\.25.*CPU 2\).*OROGRAPH_AUTOSCALING=true"):
        check_fits(Nodes(), Demand(demand), Capacity())
