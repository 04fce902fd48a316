"""Search and collections follow a run while it goes on, at a bounded cost."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orograph.infra.runs import catalogue_follower
from orograph.infra.runs.catalogue_follower import CatalogueFollower
from orograph.pipeline.errors import StoreUnavailable
from orograph.pipeline.manifest import Manifest
from orograph.stac.publishing.publish import publish_item
from orograph.stac.serving.query import Query
from orograph.stac.serving.search import ItemIndex
from tests.support.service_world import EAST, WEST, World


def publish_only(world: World, tile) -> None:
    receipt = world.make(world.plan(tile, (), world.settings), lambda _stage, _fraction: None)
    publish_item(world.store, Manifest.from_json(world.store.get(receipt.manifest_key)))


def found(index: ItemIndex) -> int:
    return len(index.snapshot().search(Query()).bodies)


def test_search_finds_tiles_before_the_run_ends(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    index = ItemIndex(world.store, max_age_s=0.0)
    with CatalogueFollower(world.store, rest_s=0.05) as catalogue:
        for count, tile in enumerate((WEST, EAST), start=1):
            publish_only(world, tile)
            catalogue.published()
            deadline = time.monotonic() + 20
            while found(index) < count and time.monotonic() < deadline:
                time.sleep(0.02)
            assert found(index) == count


def test_rewrites_are_far_fewer_than_tiles_and_faults_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, pixel_m=500.0)
    publish_only(world, WEST)
    calls: list[float] = []
    right = catalogue_follower.rebuild

    def failing_first(store):
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise StoreUnavailable("no answer")
        return right(store)

    monkeypatch.setattr(catalogue_follower, "rebuild", failing_first)
    with CatalogueFollower(world.store, rest_s=60.0) as catalogue:
        for _ in range(200):
            catalogue.published()
            time.sleep(0.001)
    assert len(calls) == 2
    assert found(ItemIndex(world.store)) == 1


def test_nothing_published_writes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, pixel_m=500.0)
    with CatalogueFollower(world.store):
        pass
    assert not list(world.store.list("stac/"))
