"""The nominal date of a catalogue's items.

Copernicus DEM gives all tiles of a release one `datetime`, so xarray clients stack them as one time step; with the date
of each tile's processing or newest survey, a mosaic would be split into several partly void time steps. A store's epoch
is the day of its first publication, until an operator begins another one, for example for a release from new surveys.
"""

from __future__ import annotations

import contextlib
from datetime import date
from typing import Final

import orjson

from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import CatalogueError, UsageError
from orograph.stac.documents.json import encode, put_absent, swap

EPOCH_KEY: Final = "catalogue/epoch.json"


def epoch_of(store: ObjectStore, moment: str) -> str:
    """The nominal date of items published now, RFC 3339 in UTC; the day of `moment` if the store has none yet.

    Raises:
        CatalogueError: the stored object is not an epoch.
    """
    data = None
    with contextlib.suppress(KeyError):
        data = store.get(EPOCH_KEY)
    if data is None:
        data = put_absent(store, EPOCH_KEY, _document(moment[:10]))
    try:
        found = str(orjson.loads(data)["datetime"])
        date.fromisoformat(found[:10])
    except (ValueError, KeyError, TypeError) as error:
        raise CatalogueError(
            f"{EPOCH_KEY} is damaged: {error}", remedy="set it again: orograph catalog epoch DATE"
        ) from error
    return found


def begin_epoch(store: ObjectStore, day: str) -> None:
    """Set the nominal date of items published from now on; published items keep theirs.

    Raises:
        UsageError: the text is not a date.
    """
    try:
        wanted = _document(date.fromisoformat(day).isoformat())
    except ValueError as error:
        raise UsageError(f"{day!r} is not a date", remedy="write it as 2027-01-01") from error
    swap(store, EPOCH_KEY, lambda _: wanted)


def _document(day: str) -> bytes:
    return encode({"datetime": f"{day}T00:00:00Z"})
