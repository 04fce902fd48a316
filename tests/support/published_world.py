"""A store with published tiles of known ground, as a finished run leaves it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orograph.infra.runs.commit import commit_tile
from orograph.infra.stores.base import Store
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.job import Job, TileResult
from orograph.pipeline.manifest import Band, Manifest, Product, ProductInfo
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.refs import FileRef, SourceRef
from orograph.stac.publishing.publish import publish_item
from tests.support.catalogue_world import make_manifest, make_source
from tests.support.formats_world import Ground, write_tile

COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"


@dataclass(frozen=True)
class World:
    """Where tiles are made and what they are made of."""

    store: Store
    folder: Path
    ground: Ground
    pixel_size_m: float = 100.0

    def publish(self, tiles: Iterable[Tile], *, edition: str = "1") -> list[Manifest]:
        return [self._publish(tile, edition) for tile in tiles]

    def _publish(self, tile: Tile, edition: str) -> Manifest:
        source = make_source()
        file = FileRef(href="https://data.example/dtm.tif", etag=edition, size_bytes=10)
        settings = ProcessingSettings(pixel_size_m=self.pixel_size_m)
        job = Job(tile, (SourceRef(source=source, files=(file,)),), settings)
        path = write_tile(self.folder, tile, self.pixel_size_m, self.ground)
        info = ProductInfo(
            name="elevation",
            filename=path.name,
            title="Elevation",
            media_type=COG_TYPE,
            roles=("data",),
            bands=(Band(name="elevation", description="Elevation", data_type="float32", unit="m", nodata=-32768.0),),
        )
        template = make_manifest(None, tile.id, sources=(source,)).model_copy(
            update={"settings": settings.model_dump(mode="json"), "sources": job.sources, "run_key": job.run_key}
        )
        draft: dict[str, Any] = {name: getattr(template, name) for name in Manifest.model_fields if name != "assets"}
        manifest = commit_tile(self.store, TileResult(job, (Product(info, path),), draft))
        publish_item(self.store, manifest)
        path.unlink()
        return manifest
