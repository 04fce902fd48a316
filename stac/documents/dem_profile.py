"""The `dem:` profile: vertical frame, surface, sources, operations and quality figures of an elevation item.

No STAC extension describes the vertical frame of heights, DTM or DSM, or their lineage; the profile does, in fields of
one prefix, with its own JSON schema. The schema is bundled with the package and copied to every catalogue.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from orograph.pipeline.core.network_adjustment import NETWORK_ADJUSTMENT
from orograph.pipeline.manifest import CoregistrationRecord, Manifest, OperationRecord
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.land_cover import LAND_COVER_SHA256
from orograph.pipeline.sources.refs import FileRef, HorizontalOperation, SourceRef
from orograph.pipeline.sources.terrain_models import TERRAIN_MODEL
from orograph.pipeline.superres.interpolants import INTERPOLANTS
from orograph.stac.documents.json import Document

PROFILE_URI: Final = "https://orograph.github.io/dem/v1.0.0/schema.json"
PROFILE_PATH: Final = "dem/v1.0.0/schema.json"
PROFILE_FILE: Final = Path(__file__).with_name("dem.schema.json")

_LINEAR: Final = (*INTERPOLANTS, "best-linear", "sensor")
"""Resolvers that are linear filters."""

_LE90_OF_SIGMA: Final = 1.6448536269514722
"""Half width of the interval that contains 90 % of a normal distribution, in standard deviations."""


def profile_schema() -> Document:
    """The profile's JSON schema."""
    schema: Document = json.loads(PROFILE_FILE.read_text(encoding="utf-8"))
    return schema


def contributing(manifest: Manifest) -> tuple[SourceRef, ...]:
    """Sources that contributed heights to the tile; all of them if no fractions were counted."""
    fractions = manifest.quality.source_fractions
    used = tuple(ref for ref in manifest.sources if fractions.get(ref.source.id, 0.0) > 0.0)
    return used or manifest.sources


def dem_fields(manifest: Manifest) -> Document:
    """The properties of the profile for a manifest; lengths in metres."""
    quality = manifest.quality
    sigma = quality.uncertainty_median_m
    return {
        "dem:surface": manifest.surface,
        "dem:vertical_datum": manifest.vertical_frame,
        "dem:run_key": manifest.run_key,
        "dem:vertical_accuracy_le90_m": None if sigma is None else round(sigma * _LE90_OF_SIGMA, 3),
        "dem:uncertainty_median_m": sigma,
        "dem:border_step_m": quality.border_step_m,
        "dem:void_fraction": quality.void_fraction,
        "dem:filled_fraction": quality.filled_fraction,
        "dem:sources": _sources(manifest),
        "dem:operations": [_operation(record) for record in manifest.operations],
        "dem:coregistration": [_coregistration(record) for record in manifest.coregistration],
        "dem:models": dict(manifest.models),
        "dem:numerics": dict(manifest.numerics),
        "dem:quality": quality.details,
    }


def public_name(href: str) -> str:
    """The last part of a path or URL, without a query that may contain a signature."""
    return posixpath.basename(href.split("?", 1)[0])


def lineage(manifest: Manifest) -> str:
    """Describe sources and processing steps in one plain sentence."""
    used = contributing(manifest)
    ids = {ref.source.id for ref in used}
    is_cell = "tiles" in manifest.settings
    moves = {step for r in manifest.operations if is_cell or r.source in ids for step in r.steps}
    steps = ["moved to " + manifest.vertical_frame] if moves - {NETWORK_ADJUSTMENT} else []
    if NETWORK_ADJUSTMENT in moves:
        steps.append("levelled by a network adjustment")
    # A survey is measured against another but not moved.
    if any(r.details.get("applied", r.status == "converged") for r in manifest.coregistration if r.source in ids):
        steps.append("coregistered")
    if "bare_earth" in manifest.models:
        steps.append(f"reduced to bare earth by {manifest.models['bare_earth']}")
    steps += _upsampled(manifest.models)
    steps.append("resampled to tiles and from these to the cell" if is_cell else "resampled once")
    if len(used) > 1:
        steps.append("blended")
    if manifest.quality.filled_fraction > 0:
        steps.append("voids filled")
    return f"{' and '.join(ref.source.title for ref in used)}: {', '.join(steps)}."


def _upsampled(models: Mapping[str, str]) -> list[str]:
    """How sources were upsampled; only a network, which has weights, is super-resolution."""
    names = list(filter(None, models.get("superres", "").split("+")))
    networks = [name for name in names if "superres_sha256" in models and name not in _LINEAR]
    linear = [name for name in names if name not in networks]
    return [
        *([f"super-resolved by {'+'.join(networks)}"] if networks else []),
        *([f"upsampled by {'+'.join(linear)}"] if linear else []),
    ]


def _sources(manifest: Manifest) -> list[Document]:
    """The sources that gave heights, each with its number in the source index where there is such a file."""
    numbers = {ref.source.id: number for number, ref in enumerate(manifest.sources, start=1)}
    indexed = any(asset.name == "source_index" for asset in manifest.assets)
    return [
        {
            **_source(ref, manifest.quality.source_fractions.get(ref.source.id)),
            "attribution": _attribution(ref.source, manifest),
            **({"index": numbers[ref.source.id]} if indexed else {}),
        }
        for ref in contributing(manifest)
    ]


def _attribution(source: Source, manifest: Manifest) -> str:
    """Whom to name: the source's makers, and those of the land-cover map and terrain model by which it was lowered."""
    used = manifest.models.get(LAND_COVER_SHA256, "").split("+")
    cover = source.land_cover
    named = cover.attribution if cover is not None and cover.sha256 in used else ""
    models = manifest.models.get(TERRAIN_MODEL, "").split("+")
    terrain = [ref.source for ref in manifest.sources if ref.source.id == source.terrain and source.terrain in models]
    return "; ".join(filter(None, (source.attribution, named, *(one.attribution for one in terrain))))


def _source(ref: SourceRef, fraction: float | None) -> Document:
    source = ref.source
    check = ref.thinning_check
    looked_at = (
        {}
        if check is None
        else {
            "thinning_declared": source.thinning.value,
            "thinning_log_odds": check.log_odds,
            "thinning_windows": check.windows,
        }
    )
    return {
        "id": source.id,
        "title": source.title,
        "fraction": fraction,
        "surface": source.surface.value,
        "vertical_datum": source.vertical_frame,
        "resolution_m": source.resolution_m,
        "thinning": ref.thinning.value,
        **looked_at,
        "accuracy_m": source.accuracy_m,
        "license": source.licence,
        **({} if ref.horizontal is None else {"horizontal": _horizontal(ref.horizontal)}),
        "files": [_file(file) for file in ref.files],
        **({} if ref.listing is None else {"listing": ref.listing.model_dump(mode="json")}),
    }


def _file(file: FileRef) -> Document:
    """A file by name and ETag, and by its content where that was hashed."""
    hashes = {"sha256": file.sha256, "blocks_sha256": file.blocks_sha256}
    known = {name: value for name, value in hashes.items() if value is not None}
    return {"name": public_name(file.href), "etag": file.etag, **known}


def _horizontal(operation: HorizontalOperation) -> Document:
    """The horizontal operation to the source, its accuracy, and a better one whose grid was missing."""
    shown = {"accuracy_m": operation.accuracy_m, "better": operation.better}
    return {
        "operation": operation.description,
        **{name: value for name, value in shown.items() if value is not None},
        "grids": _grids(operation.grids),
    }


def _grids(grids: Mapping[str, str]) -> list[Document]:
    return [
        {"name": public_name(name), "sha256": digest.removeprefix("sha256:")} for name, digest in sorted(grids.items())
    ]


def _operation(record: OperationRecord) -> Document:
    return {
        "source": record.source,
        "from": record.frame_from,
        "to": record.frame_to,
        "operation": record.operation,
        "steps": list(record.steps),
        "grids": _grids(record.grids),
        "accuracy_m": record.accuracy_m,
        "shift_min_m": record.shift_min_m,
        "shift_max_m": record.shift_max_m,
        "derived": record.derived,
        "notes": list(record.notes),
        "heights_outside": record.heights_outside,
    }


def _coregistration(record: CoregistrationRecord) -> dict[str, Any]:
    return record.model_dump(mode="json")
