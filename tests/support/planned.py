"""Small planned tiles: a job over made terrain, with the paths a tile run needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.job import Job
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.refs import FileRef
from tests.support.made import source, write_source

TILE = Tile(4000, 3000)
BOUNDS_M = (4_010_000.0, 3_020_000.0, 4_016_000.0, 3_026_000.0)
"""Where the made source has heights, EPSG:3035."""


def _probe(href: str, _anonymous: object) -> FileRef:
    return FileRef(href=href, etag="x", size_bytes=1)


def job_of(folder: Path, *, described: Mapping[str, object] | None = None, **settings: object) -> Job:
    """A planned job of one source of 6 km, with pixels of 100 m, or 10 m where the source is described."""
    path = folder / "made.tif"
    if not path.exists():
        write_source(path, "EPSG:3035", BOUNDS_M, 50)
    values: dict[str, object] = {"pixel_size_m": 100.0 if described is None else 10.0, **settings}
    made = source(path, **{"resolution_m": 50.0, **(described or {})})
    return Planner([made], ProcessingSettings.model_validate(values), _probe).job(TILE)


def paths_of(job: Job) -> dict[str, list[Path]]:
    """Local files of a job's sources by id."""
    return {ref.source.id: [Path(file.href) for file in ref.files] for ref in job.sources}
