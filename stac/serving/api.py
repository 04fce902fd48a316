"""The search API: STAC API core, collections, features, item search and CQL2 filter over the published index.

`search_app(store)` is a whole ASGI application, to run or to mount: `app.mount("/stac", search_app(store))`.
"""

from __future__ import annotations

from html import escape
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode, urljoin

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse

from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import OrographError
from orograph.pipeline.version import __version__
from orograph.stac.documents.json import ITEM_TYPE, JSON_TYPE, Document
from orograph.stac.serving.api_documents import (
    CONFORMANCE,
    SCHEMA_TYPE,
    collections_document,
    landing_document,
    public_collection,
    queryables_document,
)
from orograph.stac.serving.bad_query import BadQuery
from orograph.stac.serving.conditional import EntityTags, GzipExcept, HeadAsGet, route_path
from orograph.stac.serving.file_routes import CORS_EXPOSED, files_router
from orograph.stac.serving.openapi30 import OPENAPI30_TYPE, as_openapi30
from orograph.stac.serving.query import Query as ItemQuery
from orograph.stac.serving.query import members_of_url, parse_query
from orograph.stac.serving.search import API, FILES, MAPS, ItemIndex, Page

_PROBLEM_TYPE: Final = "application/problem+json"
_BODY_MAX: Final = 1 << 20
_TEXT: Final = {"type": "string"}
_PARAMETERS: Final = (
    ("bbox", "West, south, east, north, degrees", _TEXT),
    ("intersects", "GeoJSON geometry", _TEXT),
    ("datetime", "RFC 3339 instant or interval", _TEXT),
    ("ids", "Item ids, comma-separated", _TEXT),
    ("collections", "Collection ids, comma-separated", _TEXT),
    ("filter", "CQL2", _TEXT),
    ("filter-lang", "Language of the filter", {"enum": ["cql2-text", "cql2-json"], "default": "cql2-text"}),
    ("limit", "Items on a page", {"type": "integer", "minimum": 1, "default": 10}),
    ("sortby", "Properties to sort by, comma-separated; `-` before one reverses it", _TEXT),
    ("fields", "Members to answer with, comma-separated; `-` before one leaves it out", _TEXT),
    ("token", "Where the page begins", _TEXT),
)

# No page of ours asks another host for scripts, so the description is a table and not Swagger UI.
_DOCS: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    "<h1>{title}</h1><p>A STAC API, described for machines in <a href='openapi.json'>openapi.json</a>.</p>"
    "<table><thead><tr><th>Method</th><th>Path</th><th>What</th></tr></thead><tbody>{rows}</tbody></table></html>"
)


def search_app(
    store: ObjectStore, *, files_url: str | None = None, maps_path: str | None = None, max_age_s: float = 2.0
) -> FastAPI:
    """A STAC API over the catalogue of a store.

    Args:
        store: The store that contains the catalogue.
        files_url: Address of the store's keys for clients; when None the application serves the
            published keys itself below `/files`.
        maps_path: Address of a map service of the published tiles, relative to the API, such as `../map`; for
            links.
        max_age_s: Longest delay until responses show a publication.
    """
    app = FastAPI(title="Orograph catalogue", version=__version__, openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["GET", "HEAD", "POST"],
        allow_headers=["*"],
        expose_headers=list(CORS_EXPOSED),
        max_age=86_400,
    )
    own_files = ("/files/",) if files_url is None else ()
    app.add_middleware(EntityTags)
    app.add_middleware(HeadAsGet, except_at=lambda path: path.startswith(own_files))
    app.add_middleware(GzipExcept, except_below=own_files)
    app.include_router(
        search_router(ItemIndex(store, max_age_s=max_age_s, has_maps=maps_path is not None), files_url, maps_path)
    )
    _add_description(app)
    if files_url is None:
        app.include_router(files_router(store), prefix="/files")
    app.add_exception_handler(OrographError, _problem_of_error)
    return app


def search_router(index: ItemIndex, files_url: str | None = None, maps_path: str | None = None) -> APIRouter:
    """The routes of `search_app`, without file routes, API description and error handler."""
    router = APIRouter()
    api = _Endpoints(index, files_url, maps_path)
    extra = {"parameters": [{"name": n, "in": "query", "description": d, "schema": s} for n, d, s in _PARAMETERS]}
    paged = {"parameters": [p for p in extra["parameters"] if p["name"] not in {"ids", "collections", "intersects"}]}
    body = {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}
    for path, endpoint, more in (
        ("/", api.landing, None),
        ("/conformance", api.conformance, None),
        ("/collections", api.collections, None),
        ("/collections/{collection}", api.collection, None),
        ("/collections/{collection}/items", api.items, paged),
        ("/collections/{collection}/items/{item}", api.item, None),
        ("/collections/{collection}/queryables", api.collection_queryables, None),
        ("/queryables", api.queryables, None),
        ("/search", api.get_search, extra),
    ):
        router.add_api_route(path, endpoint, methods=["GET"], openapi_extra=more, response_class=Response)
    router.add_api_route("/search", api.post_search, methods=["POST"], openapi_extra=body, response_class=Response)
    return router


async def _json_body(request: Request) -> Document:
    data = b""
    async for piece in request.stream():
        data += piece
        if len(data) > _BODY_MAX:
            raise BadQuery(f"the body is longer than {_BODY_MAX} bytes")
    try:
        members = orjson.loads(data or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadQuery("the body is not JSON") from error
    if not isinstance(members, dict):
        raise BadQuery("the body is not a JSON object")
    return members


class _Endpoints:
    """The API's answers; each is a plain function of the request, run in the server's thread pool."""

    def __init__(self, index: ItemIndex, files_url: str | None, maps_path: str | None) -> None:
        self._index = index
        self._maps_path = maps_path
        self._files_url = None if files_url is None else files_url.rstrip("/")

    def landing(self, request: Request) -> Response:
        """The landing page."""
        return _json(landing_document(_base(request), self._index.snapshot().collections.values()))

    def conformance(self) -> Response:
        """Conformance classes of the API."""
        return _json({"conformsTo": list(CONFORMANCE)})

    def collections(self, request: Request) -> Response:
        """All collections."""
        found = self._index.snapshot().collections.values()
        return _json(collections_document(found, _base(request), self._files(request), self._maps(request)))

    def collection(self, collection: str, request: Request) -> Response:
        """One collection."""
        found = self._index.snapshot().collections.get(collection)
        if found is None:
            return _problem(404, f"collection {collection[:60]!r} not found")
        return _json(public_collection(found, _base(request), self._files(request), self._maps(request)))

    def items(self, collection: str, request: Request) -> Response:
        """Items of one collection."""
        if collection not in self._index.snapshot().collections:
            return _problem(404, f"collection {collection[:60]!r} not found")
        parameters = dict(request.query_params)
        members = {**members_of_url(parameters), "collections": [collection]}
        query = parse_query(members)
        page = self._search(query)
        above = {"rel": "collection", "href": f"{_base(request)}/collections/{collection}", "type": JSON_TYPE}
        return self._page(request, query, page, [*_next_by_url(request, parameters, page), above])

    def item(self, collection: str, item: str, request: Request) -> Response:
        """One item."""
        body = self._index.snapshot().get(collection, item)
        if body is None:
            return _problem(404, f"item {item[:60]!r} not found in {collection[:60]!r}")
        return Response(self._addressed(body, request), media_type=ITEM_TYPE)

    def queryables(self, request: Request) -> Response:
        """Properties that filters may use."""
        return _json(queryables_document(f"{_base(request)}/queryables"), SCHEMA_TYPE)

    def collection_queryables(self, collection: str, request: Request) -> Response:
        """Properties that filters may use for the items of a collection."""
        if collection not in self._index.snapshot().collections:
            return _problem(404, f"collection {collection[:60]!r} not found")
        return _json(queryables_document(f"{_base(request)}/collections/{collection}/queryables"), SCHEMA_TYPE)

    def get_search(self, request: Request) -> Response:
        """Search by URL parameters."""
        parameters = dict(request.query_params)
        query = parse_query(members_of_url(parameters))
        page = self._search(query)
        return self._page(request, query, page, _next_by_url(request, parameters, page))

    def post_search(self, request: Request, members: Annotated[Any, Depends(_json_body)]) -> Response:
        """Search by a JSON body."""
        query = parse_query(members)
        page = self._search(query)
        links = []
        if page.next_after is not None:
            body = {**members, "token": page.next_after}
            links = [{"rel": "next", "href": _here(request), "type": ITEM_TYPE, "method": "POST", "body": body}]
        return self._page(request, query, page, links)

    def _search(self, query: ItemQuery) -> Page:
        return self._index.snapshot().search(query)

    def _page(self, request: Request, query: ItemQuery, page: Page, links: list[Document]) -> Response:
        links = [
            {"rel": "self", "href": _here(request), "type": ITEM_TYPE},
            {"rel": "root", "href": f"{_base(request)}/", "type": JSON_TYPE},
            *links,
        ]
        rest: Document = {"links": links, "numberReturned": len(page.bodies)}
        if page.matched is not None:
            rest["numberMatched"] = page.matched
        bodies = page.bodies if query.fields is None else [query.fields.of(body) for body in page.bodies]
        features = self._addressed(b",".join(bodies), request)
        data = b'{"type":"FeatureCollection","features":[' + features + b"]," + orjson.dumps(rest)[1:]
        return Response(data, media_type=ITEM_TYPE)

    def _addressed(self, body: bytes, request: Request) -> bytes:
        addresses = ((FILES, self._files(request)), (API, _base(request)), (MAPS, self._maps(request) or ""))
        for mark, address in addresses:
            body = body.replace(f'"{mark}'.encode(), orjson.dumps(address)[:-1])
        return body

    def _files(self, request: Request) -> str:
        return self._files_url or f"{_base(request)}/files"

    def _maps(self, request: Request) -> str | None:
        return None if self._maps_path is None else urljoin(f"{_base(request)}/", self._maps_path)


def _next_by_url(request: Request, parameters: dict[str, str], page: Page) -> list[Document]:
    if page.next_after is None:
        return []
    query = urlencode({**parameters, "token": page.next_after})
    return [{"rel": "next", "href": f"{_here(request, '')}?{query}", "type": ITEM_TYPE, "method": "GET"}]


def _base(request: Request) -> str:
    """Address of the API's landing page as the client sees it, without the slash.

    Starlette's `base_url` stops at the outermost application; `root_path` also contains the mount below it.
    """
    root = quote(str(request.scope.get("root_path", "")), safe="/%:@!$&'()*+,;=~")
    return str(request.base_url.replace(path=root, query="", fragment="")).rstrip("/")


def _here(request: Request, query: str | None = None) -> str:
    """Address of the request as the client sees it, with its query or another one."""
    query = request.url.query if query is None else query
    address = _base(request) + quote(route_path(request.scope), safe="/%:@!$&'()*+,;=~")
    return f"{address}?{query}" if query else address


def _json(document: Document, media_type: str = JSON_TYPE) -> Response:
    return Response(orjson.dumps(document), media_type=media_type)


def _problem(status: int, detail: str) -> Response:
    """A problem as RFC 9457 says, with the members OGC API asks for."""
    title = {400: "Bad request", 404: "Not found"}.get(status, "The service cannot answer")
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    document |= {"code": title.replace(" ", ""), "description": detail}
    return Response(orjson.dumps(document), status, media_type=_PROBLEM_TYPE)


def _problem_of_error(_: Request, error: Exception) -> Response:
    if isinstance(error, BadQuery):
        return _problem(400, error.message)
    return _problem(503, "the catalogue cannot be read at the moment")


def _add_description(app: FastAPI) -> None:
    def openapi() -> Response:
        return _json(as_openapi30(app.openapi()), OPENAPI30_TYPE)

    def docs() -> Response:
        rows = [
            f"<tr><td>{method.upper()}</td><td>{escape(path)}</td><td>{escape(operation['summary'])}</td></tr>"
            for path, operations in app.openapi()["paths"].items()
            for method, operation in operations.items()
        ]
        return HTMLResponse(_DOCS.format(title=escape(app.title), rows="".join(rows)))

    app.add_api_route("/openapi.json", openapi, include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False)
