"""Choose sources of a catalogue by country, resolution, licence and place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orograph.pipeline.errors import SourceUnverified
from orograph.pipeline.sources.catalogue import CellTemplate, Portal, Source
from orograph.pipeline.sources.readiness import archive_of, obstacle


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """Conditions that a source must meet; an empty condition is met by all.

    Attributes:
        countries: Codes; `DE` includes `DE-BY`.
        finest_m, coarsest_m: Range of `resolution_m`, both ends included.
        licence: Start of the licence's id or name, such as `CC-BY`, in any case.
        area_deg: West, south, east, north that the source's box must intersect.
        usable: Only sources that can be planned without preparation.
    """

    countries: tuple[str, ...] = ()
    finest_m: float = 0.0
    coarsest_m: float = float("inf")
    licence: str = ""
    area_deg: tuple[float, float, float, float] | None = None
    usable: bool = False

    def chosen(self, sources: Iterable[Source]) -> list[Source]:
        """Select the sources that meet all conditions, sorted by country, resolution and id."""
        found = [source for source in sources if self._met(source)]
        return sorted(found, key=lambda source: (source.country or "", source.resolution_m, source.id))

    def _met(self, source: Source) -> bool:
        country = source.country or ""
        if self.countries and not any(country == code or country.startswith(f"{code}-") for code in self.countries):
            return False
        if not self.finest_m <= source.resolution_m <= self.coarsest_m:
            return False
        names = (source.licence, source.licence_name or "")
        if self.licence and not any(name.lower().startswith(self.licence.lower()) for name in names):
            return False
        if self.area_deg is not None and not _meet(self.area_deg, source.area_deg):
            return False
        return not self.usable or obstacle(source) is None


def access_of(source: Source) -> str:
    """Access method: `files`, `archives`, `template`, `stac`, `tile-index`, `features`, `atom` or `portal`."""
    if archive_of(source) is not None:
        return "archives"
    return "template" if isinstance(source.data, CellTemplate) else source.data.kind


def state_of(source: Source) -> str:
    """`ready`, `unverified`, or the next step: `fetch` (archives), `download` (by hand); `errors` for error layers."""
    if source.layer == "error":
        return "errors"
    error = obstacle(source)
    if error is None:
        return "ready"
    if isinstance(error, SourceUnverified):
        return "unverified"
    return "download" if isinstance(source.data, Portal) else "fetch"


def document_of(source: Source) -> dict[str, Any]:
    """Catalogue entry of a source with its state, JSON-ready."""
    said = source.model_dump(mode="json", exclude_none=True, exclude={"accept_unverified"})
    return {**said, "access_kind": access_of(source), "state": state_of(source)}


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] <= other[2] and one[2] >= other[0] and one[1] <= other[3] and one[3] >= other[1]
