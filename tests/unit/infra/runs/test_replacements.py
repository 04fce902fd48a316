"""Runs that would replace what is published by something of another kind say so, or stop, before a tile is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from orograph.infra.runs.replacements import check_frames, planned_notes
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.manifest import Manifest
from orograph.stac.publishing.publish import publish_item, rebuild
from tests.support.service_world import EAST, WEST, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world whose western tile, of a 250 m and a 50 m source at 500 m, is published."""
    made = World(tmp_path, pixel_m=500.0)
    made.publish(WEST)
    return made


def test_another_frame_is_rejected_and_named(world: World) -> None:
    same = world.plan(WEST, (), world.settings)
    check_frames(world.store, [same])
    other = replace(same, settings=same.settings.model_copy(update={"target_frame": "EPSG:5773"}))
    with pytest.raises(ConfigError, match=r"published in EPSG:5621.*EPSG:5773.*E4300N2650") as caught:
        check_frames(world.store, [same, other])
    assert "--replace-frame" in str(caught.value.remedy)
    assert planned_notes(world.store, [other]) == ("published in EPSG:5621, planned in EPSG:5773: E4300N2650",)


def test_tiles_that_a_killed_run_published_are_known_before_the_index_has_them(world: World) -> None:
    receipt = world.make(world.plan(EAST, (), world.settings), lambda _stage, _fraction: None)
    publish_item(world.store, Manifest.from_json(world.store.get(receipt.manifest_key)))
    planned = world.plan(EAST, (), world.settings)
    other = replace(planned, settings=planned.settings.model_copy(update={"target_frame": "EPSG:5773"}))
    with pytest.raises(ConfigError, match=r"EPSG:5773.*E4350N2650"):
        check_frames(world.store, [other])
    rebuild(world.store)
    with pytest.raises(ConfigError, match=r"EPSG:5773.*E4350N2650"):
        check_frames(world.store, [other])


def test_a_replaced_model_is_named(world: World) -> None:
    job = world.plan(WEST, (), world.settings)
    manifest = Manifest.from_json(world.store.get(job.manifest_key))
    key = "e" * 32
    assets = tuple(a.model_copy(update={"key": a.key.replace(job.run_key, key)}) for a in manifest.assets)
    manifest = manifest.model_copy(
        update={
            "run_key": key,
            "assets": assets,
            "models": {"superres": "superres-s", "bare_earth": "opening", "superres_sha256": "ab"},
        }
    )
    world.store.put(manifest.manifest_key, manifest.to_json())
    publish_item(world.store, manifest)
    rebuild(world.store)
    assert planned_notes(world.store, [job]) == (
        "published upsampling by superres-s is replaced (superres is keys6): E4300N2650",
        "published bare earth by opening is replaced (bare_earth is none): E4300N2650",
    )
    kept = replace(job, settings=job.settings.model_copy(update={"superres": "superres-s", "bare_earth": "opening"}))
    assert planned_notes(world.store, [kept]) == ("superres-s is not used: no source is upsampled to 500 m (1 tile)",)


def test_models_that_do_not_fit_are_named(world: World) -> None:
    job = world.plan(WEST, (), world.settings)
    asked = {"pixel_size_m": 50.0, "superres": "superres-s", "bare_earth": "auto"}
    notes = planned_notes(world.store, [replace(job, settings=job.settings.model_copy(update=asked))])
    assert len(notes) == 2
    assert notes[0].startswith("glo-30 is upsampled by keys6: superres-s is trained for factor 3, 250 m to 50 m is 5")
    assert notes[1].startswith("glo-30 stays a DSM: no bundled bare-earth model fits pixels of 250 m")
    assert all(note.endswith("(1 tile)") for note in notes)
