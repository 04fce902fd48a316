"""Colours of sources on the map."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from orograph.infra.service.preview import Previews
from orograph.pipeline.core.palette import source_colour


def colours(*tiles: tuple[str, ...]) -> dict[str, tuple[int, int, int]]:
    """Colours where tiles are made of these sources."""
    published: Any = {str(place): SimpleNamespace(source_ids=ids) for place, ids in enumerate(tiles)}
    store: Any = None
    catalogue: Any = SimpleNamespace(all=lambda: published)
    previews = Previews(store, catalogue, lambda _tile, _source: (), threads=1, queue_limit=1, cache_mb=1)
    return previews.source_colours()


def test_a_source_has_its_colour_whatever_else_is_published() -> None:
    assert colours(("survey", "glo-30")) == {id_: source_colour(id_) for id_ in ("glo-30", "survey")}
    assert colours(("nl", "glo-30"), ("de", "nl"), ("survey",))["survey"] == source_colour("survey")
