"""Routes of the map page: tiles and their quality, map tiles, heights at a point and along a line."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request
from starlette.responses import Response

from orograph.infra.service import shading
from orograph.infra.service.job_records import JobStatus
from orograph.infra.service.point_heights import MOST_SAMPLES, sampled
from orograph.infra.service.preview import Look
from orograph.infra.service.problem_documents import Problem
from orograph.infra.service.published_tiles import PublishedTile
from orograph.infra.service.service import Reader, Service, TheService
from orograph.infra.service.web_tiles import (
    LAYERS,
    MEDIA_TYPES,
    MIN_ZOOM,
    SOURCE_LAYERS,
    TILE_PX,
    Address,
    Form,
    Layer,
    native_zoom,
)
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.palette import hex_colour
from orograph.pipeline.vertical import VerticalCatalogue

router = APIRouter(prefix="/map", tags=["map"])

SOURCE_ID: Final = r"^[a-z0-9][a-z0-9._-]{0,63}$"
SourceId = Annotated[str, Path(pattern=SOURCE_ID)]
Zoom = Annotated[int, Path(ge=0, le=30)]
Column = Annotated[int, Path(ge=0, le=2**30)]
_NUMBER: Final = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,15})?", re.ASCII)
_MOST_POINTS: Final = 100
_BOX: Final = r"^-?[0-9]{1,3}(\.[0-9]{1,15})?(,-?[0-9]{1,3}(\.[0-9]{1,15})?){3}$"
_SPAN: Final = r"^-?[0-9]{1,5}(\.[0-9]{1,2})?,-?[0-9]{1,5}(\.[0-9]{1,2})?$"


@router.get("/state", summary="What there is to see")
async def state(service: TheService, _caller: Reader) -> dict[str, Any]:
    """Bounds, layers, legends, sources, and the settings that the caller may order."""
    published = await asyncio.to_thread(service.published.all)
    return {
        "bounds": bounds_deg(published),
        "tiles": len(published),
        "tileSize": TILE_PX,
        "minZoom": MIN_ZOOM,
        "maxZoom": deepest_zoom(published),
        "layers": list(LAYERS),
        "sources": _sources(service, published),
        "frames": _frame_names(published),
        "hasPrevious": any(tile.predecessor_key for tile in published.values()),
        "auth": service.gate.rule,
        "readOnly": bool(service.dispatcher.read_only),
        "overrides": list(service.settings.allowed_overrides),
        "baseStyle": service.settings.base_style,
        "legend": {
            "height": _stops(service.previews.height_stops()),
            "uncertainty": _stops(shading.UNCERTAINTY_STOPS),
            "slope": _stops(shading.SLOPE_STOPS),
            "aspect": _stops(shading.ASPECT_STOPS),
            "difference": _stops(shading.DIFFERENCE_STOPS),
        },
    }


def _frame_names(published: dict[str, PublishedTile]) -> dict[str, str]:
    """Names of the published vertical frames, such as `EVRF2007 (EPSG:5621)`."""
    frames = VerticalCatalogue.load().frames
    ids = {str(tile.properties.get("dem:vertical_datum", "")) for tile in published.values()}
    return {id_: f"{frames[id_].name} ({id_})" for id_ in sorted(ids) if id_ in frames}


def bounds_deg(published: dict[str, PublishedTile]) -> list[float] | None:
    """West, south, east, north of all published tiles, degrees; None without tiles."""
    boxes = [tile.item["bbox"] for tile in published.values()]
    return [f(box[i] for box in boxes) for i, f in ((0, min), (1, min), (2, max), (3, max))] if boxes else None


def deepest_zoom(published: dict[str, PublishedTile]) -> int:
    """The zoom at which the finest published pixels are fully resolved."""
    return native_zoom(min((float(tile.properties.get("gsd", 10.0)) for tile in published.values()), default=10.0))


def _stops(stops: shading.Stops) -> list[dict[str, Any]]:
    return [{"value": value, "colour": _hex(colour)} for value, colour in stops]


@router.get("/tiles", summary="Tiles with state and quality")
async def tiles(service: TheService, _caller: Reader) -> dict[str, Any]:
    """A GeoJSON collection: every published tile and every ordered tile."""
    published = await asyncio.to_thread(service.published.all)
    jobs = {}
    for record in reversed(service.book.recent()):
        jobs[record.tile] = record
    features = [_feature(tile) for tile in published.values()]
    for feature in features:
        latest = jobs.pop(feature["id"], None)
        # A failed order leaves what is published as it was, and so does the map.
        if latest is not None and not latest.status.is_final:
            feature["properties"] |= {"state": latest.status.value, "job": latest.id}
    for tile_id, record in jobs.items():
        if record.status in {JobStatus.SUCCESSFUL, JobStatus.DISMISSED}:
            continue
        features.append(_ordered(Tile.parse(tile_id), record.status, record.id))
    return {"type": "FeatureCollection", "features": features}


@router.get("/point", summary="Height at a point")
async def point(
    service: TheService,
    _caller: Reader,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
) -> dict[str, Any]:
    """Height, uncertainty and source at a point of the published tiles."""
    return await asyncio.to_thread(service.heights.at, lon, lat)


@router.get("/profile", summary="Heights along a line")
async def profile(
    service: TheService,
    _caller: Reader,
    line: Annotated[str, Query(pattern="^[-0-9.,;]+$", max_length=3000, description="lon,lat;lon,lat;... in degrees")],
    samples: Annotated[int, Query(ge=2, le=MOST_SAMPLES)] = 256,
    also: Annotated[
        list[Annotated[str, Query(pattern=SOURCE_ID)]] | None,
        Query(max_length=4, description="Sources as they came, or `previous` for the run before, along the same line."),
    ] = None,
) -> dict[str, Any]:
    """Heights, uncertainty and sources at regular distances along a line of at most 300 km."""
    points = _points(line)
    return await asyncio.to_thread(lambda: service.heights.along(sampled(points, samples), tuple(also or ())))


@router.get("/range", summary="Lowest and highest terrain in a box")
async def height_range(
    service: TheService,
    _caller: Reader,
    bbox: Annotated[str, Query(pattern=_BOX, max_length=90, description="west,south,east,north in degrees")],
) -> dict[str, Any]:
    """Least and greatest height in a box, from overviews; null where nothing is published."""
    west, south, east, north = (float(number) for number in bbox.split(","))
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise Problem(422, "Unprocessable Request", "write the box as west,south,east,north in degrees")
    return await asyncio.to_thread(service.heights.span, (west, south, east, north))


@router.get("/{layer}/{z}/{x}/{y}.{form}", summary="A map tile", response_class=Response)
async def map_tile(
    layer: Layer,
    z: Zoom,
    x: Column,
    y: Column,
    form: Form,
    request: Request,
    service: TheService,
    _caller: Reader,
    span: Annotated[str | None, Query(pattern=_SPAN, description="Heights at the ends of the relief's tints.")] = None,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """A map tile (512 pixels, WebMercatorQuad) of the product; `terrain` and `heights` use terrarium encoding."""
    look = Look(layer, form=form, span_m=_span(span) if layer == "relief" else None)
    return await _picture(request, service, Address(z, x, y), look, if_none_match)


@router.get("/raw/{source}/{layer}/{z}/{x}/{y}.{form}", summary="A map tile of a source", response_class=Response)
async def raw_tile(
    source: SourceId,
    layer: Annotated[Layer, Path()],
    z: Zoom,
    x: Column,
    y: Column,
    form: Form,
    request: Request,
    service: TheService,
    _caller: Reader,
    span: Annotated[str | None, Query(pattern=_SPAN, description="Heights at the ends of the relief's tints.")] = None,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """A map tile of an unprocessed source, or of the previous run (`previous`)."""
    if layer not in SOURCE_LAYERS:
        raise Problem(404, "Not Found", "a source has relief, hillshade, slope, aspect and terrain")
    look = Look(layer, source, form=form, span_m=_span(span) if layer == "relief" else None)
    return await _picture(request, service, Address(z, x, y), look, if_none_match)


@router.get("/difference/{other}/{z}/{x}/{y}.{form}", summary="A map tile of differences", response_class=Response)
async def difference_tile(
    other: SourceId,
    z: Zoom,
    x: Column,
    y: Column,
    form: Form,
    request: Request,
    service: TheService,
    _caller: Reader,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """A map tile of the product minus an unprocessed source, or minus the previous run (`previous`)."""
    look = Look("relief", other, is_difference=True, form=form)
    return await _picture(request, service, Address(z, x, y), look, if_none_match)


def _span(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    low, high = (float(number) for number in text.split(","))
    if not low < high:
        raise Problem(422, "Unprocessable Request", "span: the lower height first, as 200,900")
    return low, high


def _points(line: str) -> list[tuple[float, float]]:
    points = []
    for pair in line.split(";"):
        numbers = pair.split(",")
        if len(numbers) != 2 or not all(_NUMBER.fullmatch(number) for number in numbers):
            raise Problem(422, "Unprocessable Request", "write the line as lon,lat;lon,lat in degrees")
        lon, lat = map(float, numbers)
        if abs(lon) > 180 or abs(lat) > 90:
            raise Problem(422, "Unprocessable Request", "a point of the line is not on the globe")
        points.append((lon, lat))
    if not 2 <= len(points) <= _MOST_POINTS:
        raise Problem(422, "Unprocessable Request", f"a line has 2 to {_MOST_POINTS} points")
    return points


async def _picture(
    request: Request, service: Service, address: Address, look: Look, if_none_match: str | None
) -> Response:
    picture = await service.previews.picture(address, look)
    versioned = "v" in request.query_params
    headers = {"Cache-Control": "public, max-age=86400" if versioned else "no-cache"}
    if picture is None:
        # An empty tile is not an error: a map requests every tile around its view.
        return Response(status_code=204, headers={"Cache-Control": "no-cache"})
    headers["ETag"] = f'"{picture.etag}"'
    if if_none_match and picture.etag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(picture.body, media_type=MEDIA_TYPES[look.form], headers=headers)


def _sources(service: Service, published: dict[str, PublishedTile]) -> list[dict[str, Any]]:
    seen: dict[str, dict[str, Any]] = {}
    for tile in published.values():
        for source in tile.properties.get("dem:sources", ()):
            seen.setdefault(source["id"], source)
    colours = service.previews.source_colours()
    return [
        {
            "id": id_,
            "title": seen[id_].get("title", id_),
            "attribution": seen[id_].get("attribution", ""),
            "licence": seen[id_].get("license", ""),
            "resolution_m": seen[id_].get("resolution_m"),
            "surface": seen[id_].get("surface"),
            "vertical_frame": seen[id_].get("vertical_datum"),
            "colour": _hex(colour),
        }
        for id_, colour in colours.items()
        if id_ in seen
    ]


def _feature(tile: PublishedTile) -> dict[str, Any]:
    properties = tile.properties
    return {
        "type": "Feature",
        "id": tile.id,
        "geometry": tile.item["geometry"],
        "properties": {
            "id": tile.id,
            "state": "published",
            "run_key": tile.run_key,
            "item": tile.key,
            "version": tile.etag[:12],
            "updated": properties.get("updated"),
            "uncertainty_m": properties.get("dem:uncertainty_median_m"),
            "void_fraction": properties.get("dem:void_fraction"),
        },
    }


def _ordered(tile: Tile, status: JobStatus, job_id: str) -> dict[str, Any]:
    from orograph.stac.documents.items import footprint_deg

    return {
        "type": "Feature",
        "id": tile.id,
        "geometry": {"type": "Polygon", "coordinates": [footprint_deg(tile)]},
        "properties": {"id": tile.id, "state": status.value, "job": job_id},
    }


def _hex(colour: tuple[int, int, int]) -> str:
    return f"#{hex_colour(colour).lower()}"
