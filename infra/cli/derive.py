"""`orograph derive`: contours, slope, hillshade and web terrain of published 50 km tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orograph.infra.reporting.console import out, print_json

if TYPE_CHECKING:
    from orograph.infra.stores.base import Store

app = typer.Typer(
    help="Contours, slope, hillshade and web terrain of published tiles.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

TileId = Annotated[str, typer.Argument(help="Tile such as E4300N2650.")]
StoreUrl = Annotated[str | None, typer.Option("--store", help="Folder or s3://bucket/prefix with published tiles.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command()
def contours(
    tile: TileId,
    out_path: Annotated[Path, typer.Argument(metavar="OUT", help=".gpkg, .shp or .fgb, in EPSG:3035.")],
    interval: Annotated[float, typer.Option(help="Distance of levels, metres.")] = 25.0,
    spacing: Annotated[float, typer.Option(help="Lattice the lines are drawn from, metres.")] = 25.0,
    store: StoreUrl = None,
    as_json: Json = False,
) -> None:
    """Contour lines of one tile; they meet the neighbours' lines on the edges."""
    from orograph.infra.runs.published_files import elevation_files
    from orograph.pipeline.core.grid import Tile
    from orograph.pipeline.exports.derived import write_tile_contours
    from orograph.pipeline.exports.mosaic import Mosaic

    wanted = Tile.parse(tile)
    with elevation_files(_store(store), [wanted], neighbours=True) as files, Mosaic(files) as mosaic:
        count = write_tile_contours(mosaic, wanted, out_path, spacing_m=spacing, interval_m=interval)
    _tell({"file": str(out_path), "lines": count}, as_json=as_json)


@app.command()
def shade(
    tile: TileId,
    out_path: Annotated[Path, typer.Argument(metavar="OUT", help="COG to write.")],
    kind: Annotated[str, typer.Option(help="slope (degrees) or hillshade.")] = "slope",
    store: StoreUrl = None,
    as_json: Json = False,
) -> None:
    """Slope or multidirectional hillshade of one tile as COG."""
    from orograph.infra.runs.published_files import elevation_files
    from orograph.pipeline.core.grid import Tile
    from orograph.pipeline.errors import ConfigError
    from orograph.pipeline.exports.derived import write_shading
    from orograph.pipeline.exports.mosaic import Mosaic

    if kind not in {"slope", "hillshade"}:
        raise ConfigError(f"no shading {kind!r}", remedy="use slope or hillshade")
    wanted = Tile.parse(tile)
    with elevation_files(_store(store), [wanted], neighbours=True) as files, Mosaic(files) as mosaic:
        info = write_shading(mosaic, wanted, out_path, "slope" if kind == "slope" else "hillshade")
    _tell({"file": str(out_path), **info.statistics[0].to_dict()}, as_json=as_json)


@app.command()
def terrain(
    out_path: Annotated[Path, typer.Argument(metavar="OUT", help=".pmtiles archive to write.")],
    tile: Annotated[list[str] | None, typer.Option("--tile", help="Tiles; all published ones by default.")] = None,
    encoding: Annotated[str, typer.Option(help="terrarium or mapbox.")] = "terrarium",
    max_zoom: Annotated[int | None, typer.Option(help="Deepest zoom; by default that of the pixel size.")] = None,
    min_zoom: Annotated[int, typer.Option(help="Shallowest zoom.")] = 0,
    attribution: Annotated[str, typer.Option(help="Shown by map viewers.")] = "",
    store: StoreUrl = None,
    as_json: Json = False,
) -> None:
    """Terrain tiles for MapLibre in one PMTiles archive, and a mask of what is void."""
    from dataclasses import asdict

    from orograph.infra.runs.published_files import elevation_files
    from orograph.pipeline.core.grid import Tile
    from orograph.pipeline.errors import ConfigError
    from orograph.pipeline.exports.mosaic import Mosaic
    from orograph.pipeline.exports.web_terrain import write_web_terrain

    if encoding not in {"terrarium", "mapbox"}:
        raise ConfigError(f"no terrain encoding {encoding!r}", remedy="use terrarium or mapbox")
    wanted = [Tile.parse(text) for text in tile] if tile else None
    with elevation_files(_store(store), wanted) as files, Mosaic(files) as mosaic:
        info = write_web_terrain(
            mosaic,
            out_path,
            code="terrarium" if encoding == "terrarium" else "mapbox",
            max_zoom=max_zoom,
            min_zoom=min_zoom,
            attribution=attribution,
        )
    _tell({"file": str(out_path), **asdict(info)}, as_json=as_json)


def _store(url: str | None) -> Store:
    from orograph.infra.engines.environment import apply_gdal_env
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.settings import RunSettings

    apply_gdal_env()
    settings = RunSettings.with_flags(store=url)
    return open_store(settings.store, endpoint_url=settings.s3_endpoint_url)


def _tell(result: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for name, value in result.items():
        out.print(f"{name}: {value}", markup=False)
