"""Published tiles as local files, the inputs of derived products."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orograph.infra.runs.cell_runner import fetch_elevation, published_tiles, tile_ref
from orograph.infra.runs.scratch import ScratchFolder
from orograph.infra.stores.base import Store
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import OutsideCoverage
from orograph.pipeline.manifest import Manifest
from orograph.stac.documents.dem_profile import dem_fields


@contextmanager
def elevation_files(
    store: Store, tiles: Iterable[Tile] | None, *, neighbours: bool = False, scratch: Path | None = None
) -> Iterator[dict[Tile, Path]]:
    """Context with local paths of published elevation COGs; downloaded files are removed at its end.

    Args:
        store: Store with published tiles.
        tiles: Requested tiles; None for all.
        neighbours: Add published tiles that share an edge or corner.
        scratch: Folder for fetched files; the system's when None.

    Raises:
        OutsideCoverage: a requested tile is not published.
        SourceMissing, ResultDiffers: its file is missing or damaged.
        StoreUnwritable, DiskFull: the disk has no room for fetched files.
    """
    there = set(published_tiles(store))
    wanted = set(there if tiles is None else tiles)
    absent = sorted(wanted - there)
    if absent or not wanted:
        names = ", ".join(tile.id for tile in absent) or "no tile"
        raise OutsideCoverage(f"not published in {store.url}: {names}", remedy="run the tiles first")
    if neighbours:
        wanted |= {other for tile in tuple(wanted) for other in tile.neighbours() if other in there}
    with ScratchFolder(scratch, "tiles") as folder:
        yield {tile: fetch_elevation(store, tile_ref(store, tile), folder) for tile in sorted(wanted)}


def attribution_of(store: Store, tiles: Iterable[Tile] | None) -> str:
    """Attributions of all sources that gave heights to published tiles, each once, as map viewers show them.

    Args:
        store: Store with published tiles.
        tiles: Requested tiles; None for all.
    """
    found: dict[str, None] = {}
    for tile in sorted(published_tiles(store)) if tiles is None else tiles:
        manifest = Manifest.from_json(store.get(tile_ref(store, tile).manifest_key))
        for source in dem_fields(manifest)["dem:sources"]:
            found.update(dict.fromkeys(filter(None, str(source["attribution"]).split("; "))))
    return "; ".join(found)
