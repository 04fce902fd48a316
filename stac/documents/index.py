"""The index: items as stac-geoparquet, one file per block; decoding gives the original items.

Columns are those of the stac-geoparquet 1.0 specification: properties at the top level, geometry as WKB, the bounding
box as a struct, times as timestamps. Members whose values have no common shape are JSON text. References
are keys of the store, or URLs where the store's public address is known.

Arrow gives every struct of a column the same members. Other readers return null for a member that only other rows have:
the `dem:` schema allows null, and members of other schemas are in every row or are filled here.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from orograph.stac.documents import layout
from orograph.stac.documents.json import Document

_TIMES: Final = ("datetime", "start_datetime", "end_datetime", "created", "updated")
_TEXT_COLUMNS: Final = "orograph:json-columns"
_CORE: Final = ("type", "stac_version", "stac_extensions", "id", "collection", "links", "assets")
_SIDES: Final = ("xmin", "ymin", "xmax", "ymax")
_TIMESTAMP: Final = pa.timestamp("us", tz="UTC")


def with_keys(item: Document, item_key: str, public_url: str | None = None) -> Document:
    """Replace an item's relative references by keys of the store, or by URLs below `public_url`."""
    base = "" if public_url is None else public_url.rstrip("/") + "/"

    def moved(member: Document) -> Document:
        target = layout.resolve(item_key, member["href"])
        return member if target is None else {**member, "href": base + target}

    links = [moved(link) for link in item["links"]]
    return {**item, "links": links, "assets": {name: moved(asset) for name, asset in item["assets"].items()}}


def encode_items(items: Iterable[Document]) -> bytes:
    """Encode items as a stac-geoparquet file, sorted by id; equal items give equal bytes."""
    rows = [_row(item) for item in sorted(items, key=lambda item: item["id"])]
    names = dict.fromkeys(name for row in rows for name in sorted(row))
    columns: dict[str, pa.Array] = {}
    as_text = []
    for name in sorted(names):
        columns[name], is_text = _column(name, [row.get(name) for row in rows])
        as_text += [name] if is_text else []
    metadata = {
        "geo": json.dumps(_geo([row["bbox"] for row in rows])),
        "stac-geoparquet": json.dumps({"version": "1.0.0"}),
        _TEXT_COLUMNS: json.dumps(as_text),
    }
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, metadata=metadata), buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def decode_items(data: bytes) -> list[Document]:
    """Decode a stac-geoparquet file to the original items."""
    table = pq.read_table(io.BytesIO(data), page_checksum_verification=True)
    as_text = frozenset(json.loads((table.schema.metadata or {}).get(_TEXT_COLUMNS.encode(), b"[]")))
    return [_item(row, as_text) for row in table.to_pylist()]


def _column(name: str, values: list[Any]) -> tuple[pa.Array, bool]:
    """An Arrow column, and whether it is JSON text because the values have no common shape."""
    if name in _TIMES:
        return pa.array(values, _TIMESTAMP), False
    with contextlib.suppress(pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.array(values), False
    texts = [None if v is None else orjson.dumps(v, option=orjson.OPT_SORT_KEYS).decode() for v in values]
    return pa.array(texts, pa.string()), True


def _row(item: Document) -> Document:
    bounds = item["bbox"]
    row: Document = {name: item[name] for name in _CORE}
    row["geometry"] = shapely.to_wkb(shapely.from_geojson(orjson.dumps(item["geometry"]).decode()))
    row["bbox"] = dict(zip(_SIDES, map(float, bounds), strict=True))
    for name, value in item["properties"].items():
        if name in _TIMES:
            row[name] = datetime.fromisoformat(value).astimezone(UTC)
        elif name == "providers":
            # Null is not a valid URL of a provider; the empty reference is.
            row[name] = [{**provider, "url": provider.get("url", "")} for provider in value]
        else:
            row[name] = value
    return row


def _item(row: Document, as_text: frozenset[str]) -> Document:
    row = {name: orjson.loads(v) if name in as_text and v is not None else v for name, v in row.items()}
    geometry, bbox = row.pop("geometry"), row.pop("bbox")
    core = {name: row.pop(name) for name in _CORE}
    properties: Document = {}
    for name, value in row.items():
        if value is None:
            continue
        if name in _TIMES:
            properties[name] = _text(value)
        elif name == "providers":
            properties[name] = [_present({**provider, "url": provider.get("url") or None}) for provider in value]
        else:
            properties[name] = value if name in as_text else _present(value)
    return {
        "type": core["type"],
        "stac_version": core["stac_version"],
        "stac_extensions": core["stac_extensions"],
        "id": core["id"],
        "collection": core["collection"],
        "geometry": orjson.loads(shapely.to_geojson(shapely.from_wkb(geometry))),
        "bbox": [bbox[side] for side in _SIDES],
        "properties": properties,
        "links": _present(core["links"]),
        "assets": _present(core["assets"]),
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _present(value: Any) -> Any:
    """Without the members that only other rows have."""
    if isinstance(value, dict):
        return {name: _present(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_present(member) for member in value]
    return value


def _geo(boxes: list[dict[str, float]]) -> Document:
    bounds = [pick(box[side] for box in boxes) for side, pick in zip(_SIDES, (min, min, max, max), strict=True)]
    return {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Polygon"],
                "bbox": bounds,
                "covering": {"bbox": {side: ["bbox", side] for side in _SIDES}},
            }
        },
    }
