"""`orograph derive`: slope, hillshade, contours and web terrain of published 50 km tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orograph.infra.cli.completion import complete_tile
from orograph.infra.cli.options import STORE
from orograph.infra.reporting.console import out, print_json
from orograph.infra.reporting.work_progress import WorkProgress

if TYPE_CHECKING:
    from orograph.infra.stores.base import Store

app = typer.Typer(
    help="Slope, shade, contours and web terrain of published tiles.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

TileId = Annotated[str, typer.Argument(help="Tile such as E4300N2650.", autocompletion=complete_tile)]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", "-o", help="Folder or s3://bucket/prefix with published tiles.", show_default=STORE),
]
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
    with (
        elevation_files(_store(store), [wanted], neighbours=True) as files,
        Mosaic(files) as mosaic,
        WorkProgress(shown=not as_json),
    ):
        count = write_tile_contours(mosaic, wanted, out_path, spacing_m=spacing, interval_m=interval)
    _report({"file": str(out_path), "lines": count}, as_json=as_json)


@app.command()
def slope(
    tile: TileId,
    out_path: Annotated[Path, typer.Argument(metavar="OUT", help="COG to write (.tif), degrees.")],
    store: StoreUrl = None,
    as_json: Json = False,
) -> None:
    """Slope of one tile in degrees, as COG."""
    _insist_on(out_path, (".tif", ".tiff"))
    _shaded(tile, out_path, "slope", store, as_json=as_json)


@app.command()
def shade(
    tile: TileId,
    out_path: Annotated[Path, typer.Argument(metavar="OUT", help="COG (.tif) or picture (.png) to write.")],
    store: StoreUrl = None,
    as_json: Json = False,
) -> None:
    """Multidirectional hillshade of one tile, as COG or as a picture cropped to the data."""
    _insist_on(out_path, (".tif", ".tiff", ".png"))
    _shaded(tile, out_path, "hillshade", store, as_json=as_json)


def _insist_on(path: Path, suffixes: tuple[str, ...]) -> None:
    from orograph.pipeline.errors import ConfigError

    if path.suffix.lower() not in suffixes:
        raise ConfigError(f"cannot write {path.name}", remedy=f"name the output *{' or *'.join(suffixes)}")


def _shaded(
    tile: str, out_path: Path, kind: Literal["hillshade", "slope"], store: str | None, *, as_json: bool
) -> None:
    """Write slope or hillshade; a PNG is made of the finished COG."""
    from tempfile import TemporaryDirectory

    from orograph.infra.runs.published_files import elevation_files
    from orograph.pipeline.core.grid import Tile
    from orograph.pipeline.exports.derived import write_picture, write_shading
    from orograph.pipeline.exports.mosaic import Mosaic

    wanted = Tile.parse(tile)
    picture = out_path.suffix.lower() == ".png"
    with (
        TemporaryDirectory(prefix="orograph-") as folder,
        elevation_files(_store(store), [wanted], neighbours=True) as files,
        Mosaic(files) as mosaic,
        WorkProgress(shown=not as_json),
    ):
        cog_path = Path(folder) / "shade.tif" if picture else out_path
        info = write_shading(mosaic, wanted, cog_path, kind)
        if picture:
            write_picture(cog_path, out_path)
    _report({"file": str(out_path), **info.statistics[0].to_dict()}, as_json=as_json)


@app.command()
def terrain(
    out_path: Annotated[Path, typer.Argument(metavar="OUT", help=".pmtiles archive to write.")],
    tile: Annotated[
        list[str] | None,
        typer.Option(
            "--tile", "-t", help="Tile; repeatable.", show_default="all published", autocompletion=complete_tile
        ),
    ] = None,
    encoding: Annotated[str, typer.Option(help="terrarium or mapbox.")] = "terrarium",
    max_zoom: Annotated[int | None, typer.Option(help="Deepest zoom.", show_default="that of the pixel size")] = None,
    min_zoom: Annotated[int, typer.Option(help="Shallowest zoom.")] = 0,
    attribution: Annotated[
        str, typer.Option(help="Shown by map viewers.", show_default="the attributions of the tiles' sources")
    ] = "",
    store: StoreUrl = None,
    as_json: Json = False,
) -> None:
    """Terrain tiles for MapLibre in one PMTiles archive, and a mask of the voids."""
    from dataclasses import asdict

    from orograph.infra.runs.published_files import attribution_of, elevation_files
    from orograph.pipeline.core.grid import Tile
    from orograph.pipeline.errors import ConfigError
    from orograph.pipeline.exports.mosaic import Mosaic
    from orograph.pipeline.exports.web_terrain import write_web_terrain

    if encoding not in {"terrarium", "mapbox"}:
        raise ConfigError(f"no terrain encoding {encoding!r}", remedy="use terrarium or mapbox")
    wanted = [Tile.parse(text) for text in tile] if tile else None
    opened = _store(store)
    with elevation_files(opened, wanted) as files, Mosaic(files) as mosaic, WorkProgress(shown=not as_json):
        info = write_web_terrain(
            mosaic,
            out_path,
            code="terrarium" if encoding == "terrarium" else "mapbox",
            max_zoom=max_zoom,
            min_zoom=min_zoom,
            attribution=attribution or attribution_of(opened, wanted),
        )
    _report({"file": str(out_path), **asdict(info)}, as_json=as_json)


def _store(url: str | None) -> Store:
    from orograph.infra.engines.environment import apply_gdal_env
    from orograph.infra.stores.open import open_store
    from orograph.pipeline.settings import RunSettings

    apply_gdal_env()
    settings = RunSettings.with_flags(store=url)
    return open_store(settings.store, endpoint_url=settings.s3_endpoint_url, must_exist=True)


def _report(result: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for name, value in result.items():
        out.print(f"{name}: {value}", markup=False)
