"""A tile's work and its result: Job, Product, Manifest; all frozen and picklable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.file_lists import shortened
from orograph.pipeline.manifest import (
    Asset,
    CoregistrationRecord,
    Manifest,
    Product,
    _sha256,
    manifest_key,
    run_prefix,
)
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.redaction import public_ref
from orograph.pipeline.sources.refs import SourceRef
from orograph.pipeline.sources.sensor import RESOLVERS
from orograph.pipeline.sources.terrain_models import terrain_of
from orograph.pipeline.version import PROCESSING_VERSION

ProgressCallback = Callable[[str, float], None]
"""Receives the stage's name and its completed fraction, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Job:
    """One tile with its input files and settings.

    Attributes:
        tile: The tile.
        sources: Sources with data in the tile, best first; may be empty only for a rejected tile.
        settings: All settings that affect the result.
        alignment: Shifts to apply instead of estimating them, from `orograph.pipeline.coregistration.smooth_shifts`.
    """

    tile: Tile
    sources: tuple[SourceRef, ...]
    settings: ProcessingSettings
    alignment: tuple[CoregistrationRecord, ...] = ()

    @property
    def id(self) -> str:
        """Id of the tile."""
        return self.tile.id

    @property
    def run_key(self) -> str:
        """Identity of the work: 32 hexadecimal digits of a sha256.

        Same key, same bytes where no network is involved; networks agree to their tolerance (docs/design/074).

        Hashes the processing version, the settings, the tile, how each source is described and the digest of (href,
        ETag) of all files. Titles, providers and licences are excluded: they change no height. The thinning mode is
        the one that the tile uses.
        """
        described = [
            {
                "source": ref.source.model_copy(update={"thinning": ref.thinning}).model_dump(
                    mode="json",
                    include={
                        "id",
                        "horizontal_crs",
                        "vertical_frame",
                        "vertical_grid",
                        "surface",
                        "resolution_m",
                        "thinning",
                        "nodata",
                        "pixel",
                        "unit",
                        "priority",
                        "accuracy_m",
                        "epoch",
                    },
                ),
                "files": ref.files_digest,
                "horizontal": ref.horizontal.identity() if ref.horizontal else None,
                **_land_cover(ref.source),
                **self._terrain(ref.source),
                **{
                    name: value for name in ("noise_m", "horizontal_accuracy_m") if (value := getattr(ref.source, name))
                },
                **_sensor(ref, self.settings),
            }
            for ref in self.sources
        ]
        document = {
            "processing_version": PROCESSING_VERSION,
            "settings": self.settings.identity(),
            "tile": self.tile.id,
            "sources": described,
        }
        if self.alignment:
            document["alignment"] = [record.model_dump(mode="json") for record in self.alignment]
        return _sha256(document)[:32]

    def terrain(self, source: Source) -> Source | None:
        """The bare-earth model that lowers a DSM of the job, if any."""
        return terrain_of(source, (ref.source for ref in self.sources), self.settings.bare_earth)

    def _terrain(self, source: Source) -> dict[str, str]:
        found = self.terrain(source)
        return {} if found is None else {"terrain": found.id}

    @property
    def prefix(self) -> str:
        """Key prefix of everything this job writes."""
        return run_prefix(self.tile.id, self.run_key)

    @property
    def manifest_key(self) -> str:
        """Key of the manifest; it exists exactly when the job is done."""
        return manifest_key(self.tile.id, self.run_key)


@dataclass(frozen=True, slots=True)
class TileResult:
    """Output of `run_tile` on local disk: products, and the manifest without its assets."""

    job: Job
    products: tuple[Product, ...]
    draft: dict[str, Any]

    def manifest(self, assets: tuple[Asset, ...]) -> Manifest:
        """The manifest after the assets are committed; its sources have public fields only."""
        sources = tuple(shortened(public_ref(ref)) for ref in self.draft["sources"])
        return Manifest(assets=assets, **{**self.draft, "sources": sources})


def _land_cover(source: Source) -> dict[str, Any]:
    """Fields of a source's land-cover map that change heights: content and classes, not its location or provider."""
    known = source.land_cover
    return {} if known is None else {"land_cover": known.model_dump(mode="json", exclude={"path", "attribution"})}


def _sensor(ref: SourceRef, settings: ProcessingSettings) -> dict[str, Any]:
    """The sensor model, which the resolver or the stated error uses."""
    used = ref.sensor if settings.superres in RESOLVERS else ref.source.sensor
    return {} if used is None else {"sensor": used.identity()}
