"""Small jobs and results for tests of stores and engines."""

from __future__ import annotations

from pathlib import Path

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.job import Job, TileResult
from orograph.pipeline.manifest import Product, ProductInfo, Quality
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Files, Provider, Source, Thinning
from orograph.pipeline.sources.refs import FileRef, SourceRef
from orograph.pipeline.version import PROCESSING_VERSION

SOURCE = Source(
    id="made",
    title="Made heights",
    providers=(Provider(name="Nobody"),),
    licence="CC0-1.0",
    attribution="nobody",
    data=Files(hrefs=("/made.tif",)),
    horizontal_crs="EPSG:3035",
    vertical_frame="EPSG:5621",
    surface=Surface.DTM,
    resolution_m=10.0,
    thinning=Thinning.AVERAGED,
    accuracy_m=1.0,
)


def make_job(number: int = 0, *, etag: str = "sha256:0", href: str = "/made.tif") -> Job:
    """The n-th of 10,000 different jobs."""
    tile = Tile(1000 + 50 * (number % 100), 1000 + 50 * (number // 100))
    ref = SourceRef(source=SOURCE, files=(FileRef(href=href, etag=etag, size_bytes=1),))
    return Job(tile, (ref,), ProcessingSettings(pixel_size_m=100.0))


def make_result(job: Job, folder: Path, contents: dict[str, bytes] | None = None) -> TileResult:
    """A result whose products hold the given bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    products = []
    for name, data in (contents or {"dem.tif": b"heights of " + job.run_key.encode()}).items():
        path = folder / name
        path.write_bytes(data)
        info = ProductInfo(
            name=name.partition(".")[0], filename=name, title=name, media_type="image/tiff", roles=("data",)
        )
        products.append(Product(info, path))
    quality = Quality(
        pixels=1,
        void_fraction=0.0,
        filled_fraction=0.0,
        source_fractions={"made": 1.0},
        height_min_m=0.0,
        height_max_m=1.0,
        height_mean_m=0.5,
        height_std_m=0.1,
    )
    draft = {
        "tile": job.tile.id,
        "run_key": job.run_key,
        "processing_version": PROCESSING_VERSION,
        "software": {},
        "settings": job.settings.model_dump(mode="json"),
        "sources": job.sources,
        "grid": {},
        "surface": "DTM",
        "vertical_frame": "EPSG:5621",
        "crs_wkt2": "",
        "operations": (),
        "quality": quality,
    }
    return TileResult(job, tuple(products), draft)
