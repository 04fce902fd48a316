"""A small published world: an in-memory store that counts, and manifests with real COGs."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
from pyproj import CRS
from rasterio.io import MemoryFile

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import ObjectExists, PreconditionFailed
from orograph.pipeline.job import Job
from orograph.pipeline.manifest import Asset, Band, CoregistrationRecord, Manifest, OperationRecord, Quality, asset_set
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.refs import FileRef, SourceRef

COG_TYPE = "image/tiff; application=geotiff; profile=cloud-optimized"


@dataclass(frozen=True, slots=True)
class Info:
    key: str
    etag: str
    size_bytes: int


class MemoryStore:
    """Objects in a dict; counts calls by name, so that tests can gate on requests."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.media_types: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.before_put = None

    def _info(self, key: str) -> Info:
        data = self.objects[key]
        return Info(key, hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data))

    def head(self, key: str) -> Info | None:
        self.calls["head"] += 1
        return self._info(key) if key in self.objects else None

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        self.calls["get"] += 1
        return self.objects[key][start:end]

    def download(self, key: str, path: Path) -> Info:
        self.calls["get"] += 1
        path.write_bytes(self.objects[key])
        return self._info(key)

    def put(self, key, data, *, if_absent=False, if_match=None, media_type="application/octet-stream") -> Info:
        self.calls["put"] += 1
        if self.before_put is not None:
            hook, self.before_put = self.before_put, None
            hook(key)
        present = self._info(key) if key in self.objects else None
        if if_absent and present is not None:
            raise ObjectExists(f"{key} exists")
        if if_match is not None and (present is None or present.etag != if_match):
            raise PreconditionFailed(f"{key} changed")
        self.objects[key] = data if isinstance(data, bytes) else data.read_bytes()
        self.media_types[key] = media_type
        return self._info(key)

    def delete(self, key: str) -> None:
        self.calls["delete"] += 1
        self.objects.pop(key, None)

    def list(self, prefix: str = ""):
        self.calls["list"] += 1
        return iter([self._info(key) for key in sorted(self.objects) if key.startswith(prefix)])


def make_source(source_id: str = "be-dtm", **changes: object) -> Source:
    fields = {
        "id": source_id,
        "title": f"Terrain model {source_id}",
        "providers": ({"name": "Survey", "roles": ("producer", "licensor"), "url": "https://survey.example/"},),
        "licence": "CC-BY-4.0",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/",
        "attribution": "© Survey",
        "data": {"kind": "files", "hrefs": ("/data/dtm.tif",)},
        "horizontal_crs": "EPSG:31370",
        "vertical_frame": "EPSG:5710",
        "surface": "DTM",
        "resolution_m": 5.0,
        "thinning": "averaged",
        "accuracy_m": 0.3,
        "start": "2013-01-01T00:00:00Z",
        "end": "2015-12-31T00:00:00Z",
    }
    return Source.model_validate({**fields, **changes})


@lru_cache
def cog_bytes(seed: int = 0, size: int = 64) -> bytes:
    """A small strict-valid COG of EPSG:3035 heights."""
    heights = np.random.default_rng(seed).normal(500, 50, (size, size)).astype(np.float32)
    transform = rasterio.Affine(50_000 / size, 0, 4_300_000, 0, -50_000 / size, 2_700_000)
    profile = {"driver": "COG", "width": size, "height": size, "count": 1, "dtype": "float32", "nodata": -9999.0}
    with MemoryFile() as file:
        with file.open(**profile, crs="EPSG:3035", transform=transform, blocksize=512) as dataset:
            dataset.write(heights, 1)
        return bytes(file.getbuffer())


def make_manifest(
    store: MemoryStore | None,
    tile: str = "E4300N2650",
    *,
    seed: int = 0,
    sources: tuple[Source, ...] | None = None,
    fractions: dict[str, float] | None = None,
    hillshade: bytes | None = None,
) -> Manifest:
    """A manifest; with a store, committed as a worker leaves it."""
    sources = sources or (make_source(), make_source("glo-30", licence="Copernicus-DEM", surface="DSM", start=None))
    fractions = fractions or {source.id: 1 / len(sources) for source in sources}
    settings = ProcessingSettings()
    refs = tuple(
        SourceRef(source=s, files=(FileRef(href=f"https://data.example/{s.id}.tif", etag=f"e{seed}", size_bytes=10),))
        for s in sources
    )
    job = Job(Tile.parse(tile), refs, settings)
    files = {"dem": ("dem.tif", COG_TYPE, cog_bytes(seed)), "thumbnail": ("thumbnail.png", "image/png", b"png")}
    if hillshade is not None:
        files["hillshade"] = ("hillshade.tif", COG_TYPE, hillshade)
    roles = {"dem": ("data",), "thumbnail": ("thumbnail",), "hillshade": ("visual", "overview")}
    assets = []
    folder = asset_set({filename: hashlib.sha256(data).hexdigest() for filename, _, data in files.values()})
    for name, (filename, media_type, data) in files.items():
        key = f"{job.prefix}/{folder}/{filename}"
        bands = (
            (
                Band(
                    name="elevation",
                    description="Height",
                    data_type="float32",
                    unit="m",
                    nodata=-9999.0,
                    statistics={"minimum": 300.5, "maximum": 700.0, "mean": 500.0, "stddev": 50.0},
                ),
            )
            if name == "dem"
            else ()
        )
        assets.append(
            Asset(
                name=name,
                filename=filename,
                title=name.title(),
                media_type=media_type,
                roles=roles[name],
                bands=bands,
                key=key,
                size_bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
            )
        )
        if store is not None:
            store.put(key, data, media_type=media_type)
    manifest = Manifest(
        tile=tile,
        run_key=job.run_key,
        processing_version=1,
        software={"orograph": "0.1.0", "gdal": "3.10.3"},
        settings=settings.model_dump(mode="json"),
        sources=refs,
        grid={"crs": "EPSG:3035"},
        surface="DTM",
        vertical_frame="EPSG:5621",
        crs_wkt2=CRS.from_user_input("EPSG:3035+5621").to_wkt(),
        operations=(
            OperationRecord(source="be-dtm", frame_from="EPSG:5710", frame_to="EPSG:5621", operation="EPSG:5404",
                            steps=("EPSG:5404",), grids={"be_ign_hBG18.tif": "a" * 64}, accuracy_m=0.02,
                            shift_min_m=-2.3, shift_max_m=-2.2),
        ),
        coregistration=(
            CoregistrationRecord(source="glo-30", reference="be-dtm", method="nuth-kaab", status="converged",
                                 shift_east_m=1.5, nmad_before_m=2.0, nmad_after_m=1.5, sample_count=1000,
                                 details={"iterations": 5, "history": [1.0, 0.1]}),
        ),
        models={},
        quality=Quality(pixels=25_000_000, void_fraction=0.0, filled_fraction=0.01, source_fractions=fractions,
                        height_min_m=300.5, height_max_m=700.0, height_mean_m=500.0, height_std_m=50.0,
                        uncertainty_median_m=0.6, border_step_m=0.2,
                        details={"superres": {"rmse_m": 1.2, "peer": None}}),
        assets=tuple(assets),
    )  # fmt: skip
    if store is not None:
        store.put(job.manifest_key, manifest.to_json())
    return manifest


@lru_cache
def hillshade_bytes(size: int = 1000) -> bytes:
    """A hillshade of rolling hills, a COG with overviews on the grid of E4300N2650; its west edge slopes down."""
    x, y = np.meshgrid(np.linspace(0, 12, size), np.linspace(0, 12, size))
    heights = 400 * np.sin(x) * np.cos(0.7 * y) + 150 * np.sin(3 * x + y)
    dy, dx = np.gradient(heights, 50_000 / size)
    slope, aspect = np.arctan(np.hypot(dx, dy) * 8), np.arctan2(-dx, dy)
    shade = np.sin(np.pi / 4) * np.cos(slope) + np.cos(np.pi / 4) * np.sin(slope) * np.cos(np.radians(315) - aspect)
    values = np.clip(shade * 254 + 1, 1, 255).astype(np.uint8)
    transform = rasterio.Affine(50_000 / size, 0, 4_300_000, 0, -50_000 / size, 2_700_000)
    profile = {"driver": "COG", "width": size, "height": size, "count": 1, "dtype": "uint8", "nodata": 0}
    with MemoryFile() as file:
        with file.open(**profile, crs="EPSG:3035", transform=transform, blocksize=256, compress="deflate") as dataset:
            dataset.write(values, 1)
        return bytes(file.getbuffer())
