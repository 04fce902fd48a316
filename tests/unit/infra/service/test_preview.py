"""Colours of sources on the map."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orograph.infra.service.preview import Previews
from orograph.pipeline.core.palette import source_colour


def colours(*tiles: dict[str, int]) -> dict[str, tuple[int, int, int]]:
    """Colours where tiles have these numbers of sources in their source index."""
    published: Any = {
        str(place): SimpleNamespace(
            source_ids=tuple(tile),
            properties={"dem:sources": [{"id": id_, "index": number} for id_, number in tile.items()]},
        )
        for place, tile in enumerate(tiles)
    }
    store: Any = None
    catalogue: Any = SimpleNamespace(all=lambda: published)
    previews = Previews(store, catalogue, lambda _tile, _source: (), threads=1, queue_limit=1, cache_mb=1)
    return previews.source_colours()


def test_the_map_has_the_colours_of_the_published_cogs() -> None:
    assert colours({"survey": 1, "glo-30": 2}) == {"survey": source_colour(0), "glo-30": source_colour(1)}


def test_tiles_of_different_sources_keep_most_colours_and_none_twice() -> None:
    found = colours({"nl": 1, "glo-30": 2}, {"de": 1, "nl": 2, "glo-30": 3}, {"nl": 1, "glo-30": 2}, {"glo-30": 1})
    assert found["glo-30"] == source_colour(1)
    assert found["nl"] == source_colour(0)
    assert len(set(found.values())) == 3
