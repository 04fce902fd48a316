"""Planning and making tiles from Python, as `orograph plan` and `orograph run` do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orograph.infra.runs.replacements import check_frames
from orograph.infra.runs.request import Request
from orograph.infra.runs.tile_runner import TileRunner
from orograph.infra.stores.open import open_store
from orograph.pipeline.job import Job
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.planning.planner import Plan
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE
from orograph.stac.publishing.rebuild import rebuild

Area = tuple[float, float, float, float] | str | Path | Sequence[str] | None


def plan(
    area: Area,
    sources: Sequence[str] | Mapping[str, str | Path | Sequence[str | Path]],
    *,
    catalogue: str | Path = BUNDLED_CATALOGUE,
    grids_dir: str | Path | None = None,
    **settings: Any,
) -> Plan:
    """Plan tiles: find the files of each source that a tile needs, identified by ETag.

    Args:
        area: West, south, east and north in degrees; a tile id or several; the path of a GeoJSON file; None for the
            whole area that listed files cover.
        sources: Ids of the catalogue, or a mapping of ids to their files (paths, patterns, URLs).
        catalogue: YAML catalogue of sources.
        grids_dir: Folder of geoid grids.
        **settings: Processing settings such as `pixel_size_m`, `target_frame`, `superres`.

    Returns:
        Jobs for `run_tile`, and rejected tiles with their errors for tiles that cannot be made.

    Raises:
        ConfigError: a setting, source or area is invalid.
        SourceMissing, SourceCorrupt, SourceGridError: a source's files cannot be used; the error names the source.
    """
    data = _places(sources) if isinstance(sources, Mapping) else ()
    request = Request(Path(catalogue), tuple(sources), data, **_where(area))
    processing = ProcessingSettings.with_values(settings)
    return request.plan(processing, RunSettings.with_flags(grids_dir=grids_dir))


def run_tile(
    job: Job, store: str | Path, *, progress: Callable[[str, float], None] | None = None, **settings: Any
) -> Manifest:
    """Make one tile and publish it; a tile that is already in the store is not made again.

    Args:
        job: From `plan(...).jobs`.
        store: Folder or `s3://bucket/prefix`.
        progress: Called with the name of a stage and its finished fraction, 0 to 1.
        **settings: Run settings such as `grids_dir`, `scratch`, `memory_limit_mb`.

    Returns:
        The tile's manifest: assets with checksums, sources, operations, quality.

    Raises:
        OrographError: the tile cannot be made; the error names tile, source and stage.
    """
    run = RunSettings.with_flags(store=str(store), **settings)
    products = open_store(run.store, endpoint_url=run.s3_endpoint_url)
    check_frames(products, [job])
    TileRunner(run)(job, progress or _ignore)
    rebuild(products)
    return Manifest.from_json(products.get(job.manifest_key))


def _where(area: Area) -> dict[str, Any]:
    if area is None:
        return {}
    if isinstance(area, tuple) and len(area) == 4 and all(isinstance(side, int | float) for side in area):
        return {"area": ",".join(map(repr, area))}
    if isinstance(area, Path) or (isinstance(area, str) and area.endswith((".geojson", ".json"))):
        return {"aoi": Path(area)}
    return {"tiles": (area,) if isinstance(area, str) else tuple(map(str, area))}


def _places(sources: Mapping[str, str | Path | Sequence[str | Path]]) -> tuple[str, ...]:
    """Sources with their files, as `--data` takes them."""
    return tuple(
        f"{name}={href}"
        for name, hrefs in sources.items()
        for href in ([hrefs] if isinstance(hrefs, str | Path) else hrefs)
    )


def _ignore(stage: str, fraction: float) -> None:
    """No-op."""
