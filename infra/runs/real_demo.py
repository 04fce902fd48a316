"""The demo on real terrain: a national DTM and a DSM of the catalogue meet at a border."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from orograph.infra.engines.make import make_engine
from orograph.infra.runs.real_sources import real_files
from orograph.infra.runs.request import Request, area_of
from orograph.infra.runs.run import execute_plan, summarise
from orograph.pipeline.core.pictures import draw_comparison
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from orograph.pipeline.sources.catalogue import BUNDLED_CATALOGUE, SourceCatalogue

SOURCES: Final = ("de-by-dgm1", "glo-30")
AREA: Final = "11.225,47.415,11.295,47.455"
"""Mittenwald at the foot of the Karwendel: Bavaria's DTM ends at the border, GLO-30 goes on into Tyrol."""


@dataclass(frozen=True, slots=True)
class Real:
    """Settings of the demo on real terrain.

    Attributes:
        folder: Folder of downloads, sources, store and picture.
        area: West, south, east, north in degrees.
        source_ids: Ids of the DTMs and DSMs.
        catalogue: YAML catalogue of the sources.
        engine: `local` or `ray`.
        superres, bare_earth: Names of the models; networks for lidar are worse than cubic on radar, so `auto` decides.
        pixel_size_m: Pixel size of the tiles, metres.
    """

    folder: Path
    area: str = AREA
    source_ids: tuple[str, ...] = SOURCES
    catalogue: Path = BUNDLED_CATALOGUE
    engine: str = "local"
    superres: str = "auto"
    bare_earth: str = "bare-earth-30m"
    pixel_size_m: float = 10.0

    def run(self, say: Callable[[str], None]) -> tuple[int, dict[str, Any]]:
        """Download sources, make the tiles and draw them; return the exit code and a summary with attributions.

        Raises:
            ConfigError: no DSM is among the sources, or the area is invalid.
            SourceUnavailable, OutsideCoverage: heights are not available.
        """
        area, catalogue = area_of(self.area), SourceCatalogue.load(self.catalogue)
        sources = [catalogue.get(id_) for id_ in self.source_ids]
        surface = next((source for source in sources if source.surface is Surface.DSM), None)
        if surface is None:
            raise ConfigError("the real demo compares with a DSM", remedy="name a DSM among --sources")
        files = {source.id: real_files(source, area, self.folder, say) for source in sources}
        settings = RunSettings.with_flags(store=str((self.folder / "store").absolute()), engine=self.engine, workers=1)
        data = tuple(f"{id_}={path}" for id_, paths in files.items() for path in paths)
        request = Request(catalogue=self.catalogue, source_ids=self.source_ids, data=data, area=self.area)
        say("planning")
        wanted = ProcessingSettings(superres=self.superres, bare_earth=self.bare_earth, pixel_size_m=self.pixel_size_m)
        plan = request.plan(wanted, settings)
        say(f"making {len(plan.jobs)} tiles")
        code = summarise(execute_plan(plan, make_engine(settings), settings), plan, settings)
        if code:
            return code, {}
        manifests = [Manifest.from_json((self.folder / "store" / job.manifest_key).read_bytes()) for job in plan.jobs]
        say("drawing")
        self._draw(manifests, files[surface.id], surface.title)
        models = {
            name: value for manifest in manifests for name, value in manifest.models.items() if "sha256" not in name
        }
        facts = {
            "tiles": [manifest.tile for manifest in manifests],
            "shares": {
                id_: round(max(m.quality.source_fractions.get(id_, 0.0) for m in manifests), 4) for id_ in files
            },
            "models": models,
            "attributions": [source.attribution for source in sources],
            "picture": str(self.folder / "demo.png"),
        }
        return code, facts

    def _draw(self, manifests: list[Manifest], surface: tuple[Path, ...], title: str) -> None:
        """The DSM as delivered, the tile with most of the area, and their difference."""
        store = self.folder / "store"
        best: tuple[int, np.ndarray, np.ndarray, tuple[float, float]] | None = None
        for manifest in manifests:
            elevation = store / next(asset.key for asset in manifest.assets if asset.name == "elevation")
            heights, transform, pixel_m = _read(elevation, area_of(self.area))
            if best is None or np.isfinite(heights).sum() > best[0]:
                before = _warped(surface, transform, heights.shape)
                best = int(np.isfinite(heights).sum()), before, heights, pixel_m
        if best is None:
            return
        _, before, heights, pixel_m = best
        draw_comparison(
            self.folder / "demo.png",
            before,
            heights,
            pixel_m,
            titles=(f"{title}, as delivered", "the tile"),
            difference="tile - delivered",
        )


def _read(path: Path, area_deg: tuple[float, float, float, float]) -> tuple[np.ndarray, Any, tuple[float, float]]:
    """Heights of a COG in an area."""
    with rasterio.open(path) as dataset:
        box = transform_bounds("EPSG:4326", "EPSG:3035", *area_deg)
        window = from_bounds(*box, dataset.transform).round_offsets().round_lengths()
        window = window.intersection(Window(0, 0, dataset.width, dataset.height))
        heights = np.ma.filled(dataset.read(1, window=window, masked=True).astype(np.float32), np.nan)
        return heights, dataset.window_transform(window), dataset.res


def _warped(paths: tuple[Path, ...], transform: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Heights of files on the grid of a picture."""
    merged = np.full(shape, np.nan, np.float32)
    for path in paths:
        with (
            rasterio.open(path) as dataset,
            WarpedVRT(
                dataset, crs="EPSG:3035", transform=transform, width=shape[1], height=shape[0],
                resampling=Resampling.bilinear, nodata=-9999.0, dtype="float32",
            ) as warped,
        ):  # fmt: skip
            values = np.ma.filled(warped.read(1, masked=True), np.nan)
        merged = np.where(np.isfinite(merged), merged, values)
    return merged
