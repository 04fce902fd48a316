"""TileJSON, WMTS and legends of the map tiles, so that QGIS, GDAL, leafmap and lonboard add a layer by one URL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from xml.sax.saxutils import escape, quoteattr

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from orograph.infra.service import legends
from orograph.infra.service.maps import SourceId, bounds_deg, deepest_zoom
from orograph.infra.service.preview import PREVIOUS
from orograph.infra.service.problem_documents import Problem
from orograph.infra.service.service import Reader, Service, TheService
from orograph.infra.service.web_tiles import (
    ENCODED_LAYERS,
    LAYERS,
    MERCATOR_HALF_M,
    MIN_ZOOM,
    SOURCE_LAYERS,
    TILE_PX,
    Layer,
    pixel_m,
)

router = APIRouter(prefix="/map", tags=["map"])

TITLES: Final[dict[Layer, str]] = {
    "relief": "Relief",
    "hillshade": "Multidirectional shade",
    "slope": "Slope",
    "aspect": "Aspect",
    "uncertainty": "Uncertainty",
    "source": "Sources",
    "terrain": "Terrain for 3D (terrarium encoding, voids filled)",
    "heights": "Heights (terrarium encoding, voids black)",
}
_STANDARD_PIXEL_M: Final = 0.00028
_WORLD_DEG: Final = (-180.0, -85.0511, 180.0, 85.0511)


@dataclass(frozen=True, slots=True)
class _MapLayer:
    """A layer by its path below `/map`."""

    path: str
    title: str

    @property
    def id(self) -> str:
        return self.path.replace("/", "-")

    @property
    def legend(self) -> str:
        """The legend's path below `/map`; empty for shades and for heights as numbers."""
        kind = self.path.partition("/")[0]
        return "" if kind in ENCODED_LAYERS or kind == "hillshade" else f"legend/{kind}.png"


@router.get("/{layer}/tilejson.json", summary="TileJSON of a layer")
async def tilejson(layer: Layer, request: Request, service: TheService, _caller: Reader) -> dict[str, Any]:
    """TileJSON 3.0 of a layer of the product."""
    return await _tilejson(request, service, _MapLayer(layer, TITLES[layer]))


@router.get("/raw/{source}/{layer}/tilejson.json", summary="TileJSON of a source")
async def raw_tilejson(
    source: SourceId, layer: Annotated[Layer, Path()], request: Request, service: TheService, _caller: Reader
) -> dict[str, Any]:
    """TileJSON 3.0 of an unprocessed source."""
    if layer not in SOURCE_LAYERS:
        raise Problem(404, "Not Found", "a source has relief, hillshade, slope, aspect and terrain")
    _known(service, source)
    return await _tilejson(request, service, _MapLayer(f"raw/{source}/{layer}", f"{TITLES[layer]} of {source}"))


@router.get("/difference/{other}/tilejson.json", summary="TileJSON of differences")
async def difference_tilejson(
    other: SourceId, request: Request, service: TheService, _caller: Reader
) -> dict[str, Any]:
    """TileJSON 3.0 of the product minus an unprocessed source, or minus the previous run (`previous`)."""
    _known(service, other)
    return await _tilejson(request, service, _MapLayer(f"difference/{other}", f"Product minus {other}"))


@router.get("/legend/{layer}.png", summary="Legend of a layer", response_class=Response)
async def legend(layer: Layer | Literal["difference"], service: TheService, _caller: Reader) -> Response:
    """The colours of a layer and their meaning as a PNG; 404 for layers that have no colours to explain."""

    def picture() -> bytes | None:
        titles = {
            str(source["id"]): str(source.get("title", source["id"]))
            for tile in service.published.all().values()
            for source in tile.properties.get("dem:sources", ())
        }
        sources = [(colour, titles.get(id_, id_)) for id_, colour in service.previews.source_colours().items()]
        heading, rows = legends.rows(layer, service.previews.height_stops(), tuple(sources))
        return legends.drawn(heading, rows) if heading else None

    body = await asyncio.to_thread(picture)
    if body is None:
        raise Problem(404, "Not Found", f"{layer} has no legend")
    return Response(body, media_type="image/png", headers={"Cache-Control": "no-cache"})


@router.get("/wmts", summary="WMTS capabilities", response_class=Response)
async def capabilities(request: Request, service: TheService, _caller: Reader) -> Response:
    """OGC WMTS 1.0.0 capabilities with RESTful tiles; the query `SERVICE=WMTS&REQUEST=GetCapabilities` is optional."""
    query = {name.lower(): value.lower() for name, value in request.query_params.items()}
    if query.get("request", "getcapabilities") != "getcapabilities":
        raise Problem(400, "Bad Request", "this WMTS is RESTful: take the tiles' addresses from its capabilities")
    published = await asyncio.to_thread(service.published.all)
    layers = [_MapLayer(layer, TITLES[layer]) for layer in LAYERS]
    others = [*service.previews.source_order(), PREVIOUS] if published else []
    if not any(tile.predecessor_key for tile in published.values()):
        others = others[:-1]
    layers += [_MapLayer(f"difference/{other}", f"Product minus {other}") for other in others]
    bounds = bounds_deg(published) or _WORLD_DEG
    credit = "; ".join(_attributions(service))
    text = _document(_base(request), layers, bounds, deepest_zoom(published), credit)
    return Response(text, media_type="application/xml", headers={"Cache-Control": "no-cache"})


def _base(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _known(service: Service, source: str) -> None:
    if source != PREVIOUS and source not in service.previews.source_order():
        raise Problem(404, "Not Found", f"no published tile was made of {source!r}")


async def _tilejson(request: Request, service: Service, layer: _MapLayer) -> dict[str, Any]:
    published = await asyncio.to_thread(service.published.all)
    bounds = bounds_deg(published) or list(_WORLD_DEG)
    document: dict[str, Any] = {
        "tilejson": "3.0.0",
        "name": f"Orograph: {layer.title}",
        "scheme": "xyz",
        "tiles": [f"{_base(request)}/map/{layer.path}/{{z}}/{{x}}/{{y}}.png"],
        "tileSize": TILE_PX,
        "minzoom": MIN_ZOOM,
        "maxzoom": deepest_zoom(published),
        "bounds": bounds,
        "center": [(bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2, MIN_ZOOM + 3],
        "attribution": "; ".join(_attributions(service)),
    }
    if layer.path.rsplit("/", 1)[-1] in ENCODED_LAYERS:
        document["encoding"] = "terrarium"
    return document


def _attributions(service: Service) -> list[str]:
    found = [
        str(source["attribution"])
        for tile in service.published.all().values()
        for source in tile.properties.get("dem:sources", ())
        if source.get("attribution")
    ]
    return sorted(set(found))


def _document(
    base: str, layers: list[_MapLayer], bounds: tuple[float, ...] | list[float], deepest: int, credit: str
) -> str:
    href = quoteattr(f"{base}/map/wmts")
    operations = "".join(
        f'<ows:Operation name="{name}"><ows:DCP><ows:HTTP><ows:Get xlink:href={href}><ows:Constraint name="GetEncoding">'
        "<ows:AllowedValues><ows:Value>RESTful</ows:Value></ows:AllowedValues></ows:Constraint></ows:Get></ows:HTTP>"
        "</ows:DCP></ows:Operation>"
        for name in ("GetCapabilities", "GetTile")
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Capabilities xmlns="http://www.opengis.net/wmts/1.0" xmlns:ows="http://www.opengis.net/ows/1.1" '
        'xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">'
        "<ows:ServiceIdentification><ows:Title>Orograph</ows:Title><ows:ServiceType>OGC WMTS</ows:ServiceType>"
        "<ows:ServiceTypeVersion>1.0.0</ows:ServiceTypeVersion><ows:Fees>none</ows:Fees>"
        f"<ows:AccessConstraints>{escape(credit)}</ows:AccessConstraints></ows:ServiceIdentification>"
        f"<ows:OperationsMetadata>{operations}</ows:OperationsMetadata>"
        f"<Contents>{''.join(_layer(base, layer, bounds) for layer in layers)}{_matrix_set(deepest)}</Contents>"
        f"<ServiceMetadataURL xlink:href={href}/></Capabilities>\n"
    )


def _layer(base: str, layer: _MapLayer, bounds: tuple[float, ...] | list[float]) -> str:
    west, south, east, north = bounds
    template = f"{base}/map/{layer.path}/{{TileMatrix}}/{{TileCol}}/{{TileRow}}.png"
    legend = (
        f'<LegendURL format="image/png" xlink:href={quoteattr(f"{base}/map/{layer.legend}")}/>' if layer.legend else ""
    )
    return (
        f"<Layer><ows:Title>{escape(layer.title)}</ows:Title><ows:WGS84BoundingBox>"
        f"<ows:LowerCorner>{west} {south}</ows:LowerCorner><ows:UpperCorner>{east} {north}</ows:UpperCorner>"
        f"</ows:WGS84BoundingBox><ows:Identifier>{escape(layer.id)}</ows:Identifier>"
        '<Style isDefault="true"><ows:Identifier>default</ows:Identifier>'
        f"{legend}</Style><Format>image/png</Format>"
        "<TileMatrixSetLink><TileMatrixSet>WebMercatorQuad</TileMatrixSet></TileMatrixSetLink>"
        f'<ResourceURL format="image/png" resourceType="tile" template={quoteattr(template)}/></Layer>'
    )


def _matrix_set(deepest: int) -> str:
    corner = f"{-MERCATOR_HALF_M} {MERCATOR_HALF_M}"
    matrices = "".join(
        f"<TileMatrix><ows:Identifier>{zoom}</ows:Identifier>"
        f"<ScaleDenominator>{pixel_m(zoom) / _STANDARD_PIXEL_M}</ScaleDenominator><TopLeftCorner>{corner}</TopLeftCorner>"
        f"<TileWidth>{TILE_PX}</TileWidth><TileHeight>{TILE_PX}</TileHeight>"
        f"<MatrixWidth>{1 << zoom}</MatrixWidth><MatrixHeight>{1 << zoom}</MatrixHeight></TileMatrix>"
        for zoom in range(MIN_ZOOM, deepest + 1)
    )
    return (
        "<TileMatrixSet><ows:Identifier>WebMercatorQuad</ows:Identifier>"
        f"<ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS>{matrices}</TileMatrixSet>"
    )
