"""Bare-earth models of the terrain below the DSMs of a run: which belongs to which, and their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source

_FUSING: Final = frozenset({"auto", "fusion"})
"""Values of `bare_earth` that use terrain models."""


TERRAIN_MODEL: Final = "bare_earth_terrain"
"""The entry of a manifest's models that names the terrain models which a fusion used."""


def terrain_of(source: Source, sources: Iterable[Source], bare_earth: str) -> Source | None:
    """Return the terrain model that a DSM names, if it is among some sources and bare earth uses it."""
    if source.terrain is None or source.surface is not Surface.DSM or bare_earth not in _FUSING:
        return None
    return next((one for one in sources if one.id == source.terrain and one.surface is Surface.DTM), None)


def by_rank(sources: Sequence[Source], settings: ProcessingSettings) -> list[Source]:
    """Sort sources, best first; a terrain model that lowers a DSM comes after it, as its own detail is less."""
    ranked = sorted(sources, key=lambda source: source.rank)
    for source in tuple(ranked):
        terrain = terrain_of(source, ranked, settings.bare_earth)
        if terrain is not None and ranked.index(terrain) < ranked.index(source):
            ranked.remove(terrain)
            ranked.insert(ranked.index(source) + 1, terrain)
    return ranked


def check_terrain(sources: Sequence[Source], settings: ProcessingSettings) -> None:
    """Check that a requested fusion has something to fuse.

    Raises:
        ConfigError: no DSM of the run has its terrain model in the run.
    """
    if settings.bare_earth != "fusion":
        return
    surfaces = [source for source in sources if source.surface is Surface.DSM]
    if not surfaces or any(terrain_of(source, sources, "fusion") for source in surfaces):
        return
    named = sorted({source.terrain for source in surfaces if source.terrain})
    add = (
        f"add --source {named[0]}" if named else "name one in the DSM's catalogue entry, `terrain: gedtm30`, and add it"
    )
    raise ConfigError(
        f"bare_earth=fusion needs a terrain model next to {surfaces[0].id}", source=surfaces[0].id, remedy=add
    )
