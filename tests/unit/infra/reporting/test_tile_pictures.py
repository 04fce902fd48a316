"""Pictures of a run's report: a source as delivered, the tile, and their difference."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orograph.infra.reporting.html import html_of
from orograph.infra.reporting.tile_pictures import SIDE_PX, tile_pictures
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.job import Job
from tests.support.service_world import EAST, WEST, World
from tests.unit.infra.reporting.test_html import REPORT


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalStore, Job]:
    folder = tmp_path_factory.mktemp("world")
    store = LocalStore(folder / "store")
    world = World(folder, pixel_m=250.0, store=store)
    world.publish(WEST)
    return store, world.plan(WEST, (), world.settings)


def test_before_after_and_difference_are_drawn(made: tuple[LocalStore, Job]) -> None:
    store, job = made
    (pictures,) = tile_pictures(store, [job])
    assert pictures.tile == WEST.id
    assert pictures.width_m == pytest.approx(50_000, rel=0.02)
    delivered, tile, change = pictures.panels
    assert delivered.title == "Made coarse source, as delivered"
    assert (delivered.low, delivered.high) == (tile.low, tile.high), "one scale of heights"
    # The source is 1.5 m higher than the tile.
    pixels = np.asarray(Image.open(io.BytesIO(change.image))).astype(int)
    assert max(pixels.shape[:2]) <= SIDE_PX
    assert np.median(pixels[..., 2] - pixels[..., 0]) > 20, "blue: the tile is lower"
    assert change.low == -change.high


def test_the_page_shows_them_with_scale_bars_and_units(made: tuple[LocalStore, Job]) -> None:
    store, job = made
    page = html_of(REPORT, tile_pictures(store, [job]))
    assert page.count("data:image/webp;base64,") == 3
    assert page.count(">10 km</span>") == 3
    assert page.count(" m</span>") == 3
    assert "<script" not in page


def test_without_files_of_the_source_only_the_tile_is_drawn(made: tuple[LocalStore, Job]) -> None:
    store, job = made
    gone = tuple(
        ref.model_copy(update={"files": (ref.files[0].model_copy(update={"href": "gone.tif"}),)}) for ref in job.sources
    )
    other = replace(job, sources=gone)
    store.put(other.manifest_key, store.get(job.manifest_key), if_absent=True)
    (pictures,) = tile_pictures(store, [other])
    assert [panel.title for panel in pictures.panels] == ["the tile"]


def test_a_tile_that_is_not_there_is_left_out(made: tuple[LocalStore, Job], tmp_path: Path) -> None:
    _, job = made
    assert tile_pictures(LocalStore(tmp_path), [replace(job, tile=EAST)]) == ()
