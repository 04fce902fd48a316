"""Finds published tiles that a planned run replaces by tiles with another frame, network or bare-earth model."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from orograph.infra.stores.base import Store
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.weights_uri import Read
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.job import Job
from orograph.pipeline.tile.model_choices import substitutions, upsampler_of
from orograph.stac.documents.collections import TILES
from orograph.stac.documents.index import decode_items
from orograph.stac.documents.layout import block_of, index_key, item_key
from orograph.stac.publishing.change_notes import noted_items

_MODELS: Final = {"superres": "upsampling", "bare_earth": "bare earth"}
_NAMED_TILES: Final = 3


def planned_notes(store: Store, jobs: Sequence[Job], fetch: Read | None = None) -> tuple[str, ...]:
    """Notes for the user on surprising effects of a run: substituted models, and published models that it replaces.

    `fetch` reads weights that are named by their content.
    """
    frames = (
        f"published in {frame}, planned in {wanted}: {_listed(names)}"
        for (frame, wanted), names in _other_frames(store, jobs).items()
    )
    return (*substitutions(jobs, fetch), *frames, *replaced_models(store, jobs, fetch))


def replaced_models(store: Store, jobs: Sequence[Job], fetch: Read | None = None) -> tuple[str, ...]:
    """One sentence for each published model that planned jobs replace by another."""
    tiles: dict[str, list[str]] = defaultdict(list)
    published = _published(store, jobs)
    for job in jobs:
        present = published.get(job.tile.id)
        if present is None or present["dem:run_key"] == job.run_key:
            continue
        models = present.get("dem:models", {})
        for kind, title in _MODELS.items():
            before, asked = models.get(kind), getattr(job.settings, kind)
            if before is not None and not _agrees(kind, models, job, fetch):
                tiles[f"published {title} by {before} is replaced ({kind} is {asked})"].append(job.tile.id)
    return tuple(f"{sentence}: {_listed(names)}" for sentence, names in tiles.items())


def check_frames(store: Store, jobs: Sequence[Job]) -> None:
    """Check that no job replaces a published tile of another vertical frame: one catalogue has one frame per tile.

    Raises:
        ConfigError: a job would replace a tile of another frame.
    """
    for (frame, wanted), names in _other_frames(store, jobs).items():
        raise ConfigError(
            f"published in {frame}, this run would replace it by heights in {wanted}: {_listed(names)}",
            tile=names[0],
            remedy=f"use another --store for {wanted}, export from this one with --frame, or give --replace-frame",
        )


def _other_frames(store: Store, jobs: Sequence[Job]) -> dict[tuple[str, str], list[str]]:
    """Tiles whose published frame is not the planned one, by both."""
    published = _published(store, jobs)
    tiles: dict[tuple[str, str], list[str]] = defaultdict(list)
    for job in jobs:
        frame = published.get(job.tile.id, {}).get("dem:vertical_datum", job.settings.target_frame)
        if frame != job.settings.target_frame:
            tiles[frame, job.settings.target_frame].append(job.tile.id)
    return tiles


def _published(store: Store, jobs: Iterable[Job]) -> dict[str, dict[str, Any]]:
    """Properties of the published items of the blocks that jobs are in, by tile; one request per block.

    Items that a run published and the index does not contain yet, as after a killed run, are read themselves.
    """
    tiles = {job.tile.id for job in jobs if isinstance(job.tile, Tile)}
    blocks = {block_of(tile) for tile in tiles}
    found: dict[str, dict[str, Any]] = {}
    for block in sorted(blocks):
        try:
            data = store.get(index_key(TILES.id, block))
        except KeyError:
            continue
        found.update((item["id"], item["properties"]) for item in decode_items(data))
    for tile in sorted(tiles & noted_items(store, TILES.id)):
        with contextlib.suppress(KeyError):
            found[tile] = orjson.loads(store.get(item_key(TILES.id, tile)))["properties"]
    return found


def _agrees(kind: str, published: Mapping[str, str], job: Job, fetch: Read | None) -> bool:
    """Whether published models may be those of a job: `auto` chooses, several sources have several names."""
    asked = getattr(job.settings, kind)
    names = {asked}
    if kind == "superres":
        names |= {upsampler_of(ref.source, job.settings, fetch) for ref in job.sources}
    digests = published.get(f"{kind}_sha256", "").split("+")
    return (
        asked == "auto" or not names.isdisjoint(published[kind].split("+")) or asked.removeprefix("sha256:") in digests
    )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED_TILES
    return ", ".join(names[:_NAMED_TILES]) + (f" and {more} more" if more > 0 else "")
