"""A tile's products: elevation, source index, uncertainty, hillshade, thumbnail; and the content of its manifest.

Where bare earth lowers a source, a mask records the share of each pixel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from orograph.pipeline.bare_earth.reader import GroundReader, bare_earth_choice
from orograph.pipeline.core.grid import TILE_CRS, PixelWindow
from orograph.pipeline.core.numerics import numerics_of
from orograph.pipeline.core.palette import VOID_COLOUR, source_colour
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.core.software import software_versions
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.core.timing import StageClock
from orograph.pipeline.formats import cog, tiff
from orograph.pipeline.formats.statistics import BandStatistics
from orograph.pipeline.formats.thumbnail import write_thumbnail
from orograph.pipeline.formats.vertical_datum import vertical_tags
from orograph.pipeline.job import Job, ProgressCallback
from orograph.pipeline.manifest import Band, CoregistrationRecord, FileFacts, Product, ProductInfo, canonical_json
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.facts import Facts
from orograph.pipeline.sources.land_cover import LAND_COVER_SHA256
from orograph.pipeline.sources.sensor import NET_RESOLVER
from orograph.pipeline.sources.terrain_models import TERRAIN_MODEL
from orograph.pipeline.superres import Resolver
from orograph.pipeline.superres.choice import AUTO, upsampling_of
from orograph.pipeline.superres.zoom import zoom_of
from orograph.pipeline.tile.assembly import TileAssembly
from orograph.pipeline.tile.quality import QualityTally
from orograph.pipeline.tile.stages.stage import IndexArray
from orograph.pipeline.version import PROCESSING_VERSION
from orograph.pipeline.vertical import compound_crs

COG_TYPE: Final = "image/tiff; application=geotiff; profile=cloud-optimized"

Kind = Literal["elevation", "source_index", "uncertainty", "hillshade", "bare_earth_mask"]


@dataclass(frozen=True, slots=True)
class RasterProduct:
    """Encoding of one raster product."""

    name: Kind
    title: str
    dtype: Literal["float32", "uint8"]
    roles: tuple[str, ...]
    band: str
    unit: str | None
    overview: Literal["average", "mode"]
    nodata: float = cog.NODATA


_NAMED_FILES: Final = 3
RASTERS: Final = (
    RasterProduct("elevation", "Elevation", "float32", ("data",), "elevation", "m", "average"),
    RasterProduct("source_index", "Source of each height", "uint8", ("data", "provenance"), "source", None, "mode", 0),
    RasterProduct(
        "uncertainty", "Standard deviation of each height", "float32", ("data", "uncertainty"), "sigma", "m", "average"
    ),
    RasterProduct(
        "hillshade", "Multidirectional hillshade", "uint8", ("visual", "overview"), "hillshade", None, "average", 0
    ),
)
VOID_PERCENT: Final = 255
BARE_EARTH_MASK: Final = RasterProduct(
    "bare_earth_mask",
    "Share of each pixel lowered to bare earth",
    "uint8",
    ("data-mask",),
    "lowered",
    "%",
    "average",
    VOID_PERCENT,
)

Finished = list[tuple[Product, BandStatistics | None]]


class ProductFiles:
    """The raster products of a tile, open for windows."""

    def __init__(
        self,
        job: Job,
        folder: Path,
        rasters: tuple[RasterProduct, ...],
        writers: dict[str, cog.ScratchWriter],
        stack: ExitStack,
    ) -> None:
        self._job = job
        self._rasters = rasters
        self._folder = folder
        self._writers = writers
        self._stack = stack

    @classmethod
    @contextmanager
    def open(cls, job: Job, folder: Path, *, lowers: bool = False) -> Iterator[ProductFiles]:
        """Scratch files for all products, with a mask where bare earth lowers a source; removed if the block fails."""
        rasters = (*RASTERS, BARE_EARTH_MASK) if lowers else RASTERS
        geobox = job.tile.geobox(job.settings.pixel_size_m)
        with ExitStack() as stack:
            writers: dict[str, cog.ScratchWriter] = {
                raster.name: stack.enter_context(
                    cog.scratch(
                        _scratch(folder, raster),
                        geobox,
                        dtype=raster.dtype,
                        nodata=raster.nodata if raster.dtype == "uint8" else None,
                        encoding=cog.Encoding(
                            job.settings.compression if raster.name == "elevation" else "zstd",
                            job.settings.lerc_max_error_m,
                            raster.overview,
                        ),
                    )
                )
                for raster in rasters
            }
            yield cls(job, folder, rasters, writers, stack)

    def write(
        self,
        core: PixelWindow,
        heights_m: FloatArray,
        index: IndexArray,
        sigma_m: FloatArray,
        shade: npt.NDArray[np.uint8],
        lowered: FloatArray | None = None,
    ) -> None:
        """Write one window of every product; `lowered` is the share of each pixel lowered to bare earth, or None."""
        self._writers["elevation"].write(core, heights_m)
        self._writers["source_index"].write(core, index)
        self._writers["uncertainty"].write(core, sigma_m)
        self._writers["hillshade"].write(core, shade)
        if BARE_EARTH_MASK in self._rasters:
            self._writers[BARE_EARTH_MASK.name].write(core, _percent(heights_m, lowered))

    def finish(self, clock: StageClock, progress: ProgressCallback) -> Finished:
        """Turn scratch files into COGs and draw the thumbnail."""
        with clock.of("write"):
            self._stack.close()
        products: Finished = []
        for number, raster in enumerate(self._rasters):
            with clock.of("export"):
                products.append(self._finish(raster))
            progress("export", (number + 1) / (len(self._rasters) + 1))
        paths = {product.info.name: product.path for product, _ in products}
        thumbnail = self._folder / f"{self._job.tile.id}_thumbnail.png"
        with clock.of("export"):
            write_thumbnail(paths["elevation"], paths["hillshade"], thumbnail)
        info = ProductInfo(
            name="thumbnail", filename=thumbnail.name, title="Thumbnail", media_type="image/png", roles=("thumbnail",)
        )
        products.append((Product(info, thumbnail), None))
        progress("export", 1.0)
        return products

    def _finish(self, raster: RasterProduct) -> tuple[Product, BandStatistics]:
        job, settings = self._job, self._job.settings
        path = self._folder / f"{job.tile.id}_{raster.name}.tif"
        heights = raster.name == "elevation"
        result = cog.finish(
            _scratch(self._folder, raster),
            path,
            overview=raster.overview,
            compression=settings.compression if heights else "zstd",
            lerc_max_error_m=settings.lerc_max_error_m,
            band_names=(raster.band,),
            band_units=(raster.unit,),
            tags={
                "TILE": job.tile.id,
                "RUN_KEY": job.run_key,
                **(vertical_tags(settings.target_frame) if heights else {}),
                **(_source_names(job) if raster.name == "source_index" else {}),
            },
            colours=_source_colours(job) if raster.name == "source_index" else None,
        )
        statistics = result.statistics[0]
        band = Band(
            name=raster.band,
            description=raster.title,
            data_type=raster.dtype,
            unit=raster.unit,
            nodata=raster.nodata,
            statistics=statistics.to_dict(),
        )
        info = ProductInfo(
            name=raster.name,
            filename=path.name,
            title=raster.title,
            media_type=COG_TYPE,
            roles=raster.roles,
            bands=(band,),
        )
        return Product(info, path), statistics


def _source_names(job: Job) -> dict[str, str]:
    """Metadata that names each value of the source index."""
    return {f"SOURCE_{number}": ref.source.id for number, ref in enumerate(job.sources, start=1)}


def _source_colours(job: Job) -> dict[int, tiff.Colour]:
    """Colour of each value of the source index."""
    named = {number: source_colour(ref.source.id) for number, ref in enumerate(job.sources, start=1)}
    return {0: VOID_COLOUR, **named}


def _percent(heights_m: FloatArray, lowered: FloatArray | None) -> npt.NDArray[np.uint8]:
    """Convert to whole percents, rounded up: 0 marks unchanged pixels, 255 voids."""
    share = np.zeros(heights_m.shape, np.float32) if lowered is None else np.nan_to_num(lowered)
    # A cubic kernel leaves negligible traces around lowered pixels.
    percent = np.ceil(100.0 * np.clip(share, 0.0, 1.0) - 0.05)
    return np.where(np.isnan(heights_m), VOID_PERCENT, percent).astype(np.uint8)


def draft_manifest(
    job: Job,
    assembly: TileAssembly,
    alignment: tuple[CoregistrationRecord, ...],
    tally: QualityTally,
    products: Finished,
) -> dict[str, Any]:
    """Return the manifest without its assets; on one processor it is identical between runs of the job."""
    settings = job.settings
    geobox = job.tile.geobox(settings.pixel_size_m)
    quality = tally.result(next(s for product, s in products if s is not None and product.info.name == "elevation"))
    if assembly.rejected:
        reasons = {str(error.source): error.message for error in assembly.rejected}
        quality = quality.model_copy(update={"details": {**quality.details, "sources_rejected": reasons}})
    # A source wholly hidden by better ones did not contribute, and neither did its upsampling or bare-earth model.
    shown = [source for source in assembly.sources if source.ref.source.id in quality.source_fractions]
    below = {source.ref.source.id: source.ground for source in shown if source.ground is not None}
    surfaces = {
        "DTM" if ref.source.id in below else ref.source.surface.value
        for ref in job.sources
        if ref.source.id in quality.source_fractions
    }
    resolvers = [found for source in shown if (found := source.plan.resolver) is not None]
    return {
        "tile": job.tile.id,
        "run_key": job.run_key,
        "processing_version": PROCESSING_VERSION,
        "software": software_versions(),
        "settings": settings.identity(),
        "sources": job.sources,
        "grid": {
            "crs": TILE_CRS,
            "transform": list(geobox.affine)[:6],
            "shape": list(geobox.shape.shape),
            "bounds": list(job.tile.bounds_m),
        },
        "surface": surfaces.pop() if len(surfaces) == 1 else "mixed",
        "vertical_frame": settings.target_frame,
        "crs_wkt2": compound_crs(TILE_CRS, settings.target_frame).to_wkt("WKT2_2019"),
        "facts": {source.ref.source.id: _facts(source.reader.facts) for source in assembly.sources},
        "operations": tuple(
            source.operation.model_copy(update={"heights_outside": tally.outside.get(source.index, 0)})
            for source in assembly.sources
        ),
        "coregistration": alignment,
        "models": {
            **_raised(resolvers),
            **_below(below.values()),
            **_reasons([source.ref.source for source in shown], job),
        },
        "numerics": numerics_of(
            resolvers,
            bare_earth=settings.bare_earth_precision if any(one.weights_sha256 for one in below.values()) else None,
            coregistered=not job.alignment and any(record.sample_count for record in alignment),
            device=settings.device,
        ),
        "quality": quality,
    }


def _facts(files: Sequence[Facts]) -> tuple[FileFacts, ...]:
    """Facts of a source's files; files with equal facts share one record."""
    alike: dict[str, tuple[dict[str, Any], list[str]]] = {}
    for file in files:
        record = file.record()
        alike.setdefault(canonical_json(record).decode(), (record, []))[1].append(file.path.rpartition("/")[2])
    return tuple(
        FileFacts(
            files=tuple(names[:_NAMED_FILES]),
            count=len(names),
            facts={name: value for name, value in record.items() if name != "said_by"},
            said_by=record["said_by"],
        )
        for record, names in alike.values()
    )


def _raised(resolvers: Sequence[Resolver]) -> dict[str, str]:
    """Names of the resolvers used, best source first, and the sha256 of the weights of those that have any."""
    digests = dict.fromkeys(digest for resolver in resolvers if (digest := getattr(resolver, "sha256", None)))
    return {
        **({"superres": "+".join(dict.fromkeys(resolver.name for resolver in resolvers))} if resolvers else {}),
        **({"superres_sha256": "+".join(digests)} if digests else {}),
    }


def _below(readers: Collection[GroundReader]) -> dict[str, str]:
    """Names of the bare-earth models used, the sha256 of their weights and of the maps they were shown, terrain models."""
    names = sorted({reader.model for reader in readers})
    by_name = {reader.model: reader.weights_sha256 for reader in readers}
    digests = [digest for name in names if (digest := by_name[name])]
    maps = sorted({digest for reader in readers if (digest := reader.map_sha256)})
    terrain = sorted({reader.terrain.reader.source.id for reader in readers if reader.terrain is not None})
    return {
        **({"bare_earth": "+".join(names)} if names else {}),
        **({"bare_earth_sha256": "+".join(digests)} if digests else {}),
        **({LAND_COVER_SHA256: "+".join(maps)} if maps else {}),
        **({TERRAIN_MODEL: "+".join(terrain)} if terrain else {}),
    }


def _reasons(sources: Sequence[Source], job: Job) -> dict[str, str]:
    """Choices that `auto` made, and why: one clause per source that they concern."""
    settings = job.settings
    chosen: dict[str, str] = {}
    if settings.superres in {AUTO, NET_RESOLVER}:
        coarse = [source for source in sources if zoom_of(source.resolution_m, settings.pixel_size_m) > 1]
        found = ((source.id, upsampling_of(source, settings)) for source in coarse)
        chosen["superres_choice"] = "; ".join(f"{name}: {how.name}, {how.reason}" for name, how in found)
    if settings.bare_earth == AUTO:
        surfaces = [source for source in sources if source.surface is Surface.DSM]
        chosen["bare_earth_choice"] = "; ".join(
            f"{source.id}: {bare_earth_choice(source, settings.pixel_size_m, fused=job.terrain(source) is not None)}"
            for source in surfaces
        )
    return {name: text for name, text in chosen.items() if text}


def _scratch(folder: Path, raster: RasterProduct) -> Path:
    return folder / f"{raster.name}.scratch.tif"
