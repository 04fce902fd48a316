"""Finds, before a run, the models that it substitutes for the requested one."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from orograph.pipeline.core.surface import Surface
from orograph.pipeline.core.weights_uri import Read
from orograph.pipeline.errors import OrographError
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.sensor import NET_RESOLVER
from orograph.pipeline.superres import resolver, takes_options, takes_sensor
from orograph.pipeline.superres.choice import AUTO, upsampling_of
from orograph.pipeline.superres.zoom import IN_PLACE, zoom_of


def upsampler_of(source: Source, settings: ProcessingSettings, fetch: Read | None = None) -> str | None:
    """Name of the resolver that upsamples a source; None where it is not upsampled."""
    zoom = 1 if settings.superres == "none" else zoom_of(source.resolution_m, settings.pixel_size_m)
    if zoom == 1:
        return None
    chosen = upsampling_of(source, settings).name
    factor = _trained_factor(chosen, fetch)
    return chosen if factor in (None, zoom) else IN_PLACE


def substitutions(jobs: Iterable[Job], fetch: Read | None = None) -> tuple[str, ...]:
    """One sentence for each source on which a requested model cannot be used."""
    tiles: dict[str, int] = defaultdict(int)
    known: dict[tuple[str, ProcessingSettings, bool], tuple[str, ...]] = {}
    for job in jobs:
        for ref in job.sources:
            fused = job.terrain(ref.source) is not None
            pair = ref.source.id, job.settings, fused
            if pair not in known:
                known[pair] = _of_source(ref.source, job.settings, fetch, fused=fused)
            for sentence in known[pair]:
                tiles[sentence] += 1
        unused = _unused(job, fetch)
        if unused is not None:
            tiles[unused] += 1
    return tuple(f"{sentence} ({count} {'tile' if count == 1 else 'tiles'})" for sentence, count in tiles.items())


def _unused(job: Job, fetch: Read | None) -> str | None:
    """A sentence where a network was requested and no source is coarse enough for it."""
    asked = job.settings.superres
    if not takes_options(asked) or any(upsampler_of(ref.source, job.settings, fetch) for ref in job.sources):
        return None
    return f"{asked} is not used: no source is upsampled to {job.settings.pixel_size_m:g} m"


def _of_source(source: Source, settings: ProcessingSettings, fetch: Read | None, *, fused: bool) -> tuple[str, ...]:
    found = []
    upsampler = upsampler_of(source, settings, fetch)
    if settings.superres in {AUTO, NET_RESOLVER} and upsampler not in (None, settings.superres):
        found.append(f"{source.id} is upsampled by {upsampler}: {upsampling_of(source, settings).reason}")
    elif upsampler not in (None, settings.superres):
        found.append(
            f"{source.id} is upsampled by {upsampler}: {settings.superres} is trained for factor "
            f"{_trained_factor(settings.superres, fetch)}, {source.resolution_m:g} m to {settings.pixel_size_m:g} m is "
            f"{zoom_of(source.resolution_m, settings.pixel_size_m)}"
        )
    if settings.bare_earth == AUTO and source.surface is Surface.DSM:
        # Compiled kernels, which few plans need.
        from orograph.pipeline.bare_earth.reader import bare_earth_choice, model_for

        if model_for(source, AUTO, settings.pixel_size_m, fused=fused) is None:
            reason = bare_earth_choice(source, settings.pixel_size_m).removeprefix("kept, ")
            found.append(f"{source.id} stays a DSM: {reason}")
    return tuple(found)


@lru_cache(maxsize=16)
def _trained_factor(name: str, fetch: Read | None) -> int | None:
    """Factor a network was trained for; None for resolvers that take any."""
    if not takes_options(name) or takes_sensor(name):
        return None
    factor: int | None = None
    with contextlib.suppress(OrographError):  # weights that only workers can read are checked there
        factor = getattr(resolver(name, fetch=fetch), "factor", None)
    return factor
