"""A small published world for the service's tests: real COGs, manifests and items, made in a second.

Two tiles of fractal ground side by side, the western one partly void (a lake), one fine and one coarse source, and a
runner that makes a tile again in a moment, so that services can be tested without the whole pipeline.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from pyproj import CRS

from orograph.infra.engines.protocol import Event, EventCallback, Outcome, Receipt, Runner, Status
from orograph.infra.runs.source_records import keep_inputs
from orograph.infra.service.assemble import publisher_of
from orograph.infra.service.service import Parts
from orograph.infra.stores.base import Store
from orograph.infra.stores.local import LocalStore
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.errors import OrographError, OutsideCoverage, SourceUnknown
from orograph.pipeline.job import Job, ProgressCallback
from orograph.pipeline.manifest import Asset, Band, CoregistrationRecord, Manifest, OperationRecord, Quality
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import Files, Provider, Source, Surface, Thinning
from orograph.pipeline.sources.redaction import public_ref
from orograph.pipeline.sources.refs import FileRef, SourceRef
from orograph.stac.publishing.publish import publish_item, rebuild

WEST, EAST = Tile.parse("E4300N2650"), Tile.parse("E4350N2650")
UNPUBLISHED = Tile.parse("E4400N2650")
NOWHERE = Tile.parse("E1000N1000")

COARSE = Source(
    id="glo-30",
    title="Made coarse source",
    providers=(Provider(name="Nobody", url="https://nobody.example/"),),
    licence="CC0-1.0",
    attribution="made for tests",
    data=Files(hrefs=("coarse.tif",)),
    horizontal_crs="EPSG:3035",
    vertical_frame="EPSG:3855",
    surface=Surface.DSM,
    resolution_m=250.0,
    thinning=Thinning.AVERAGED,
    accuracy_m=2.0,
)
FINE = COARSE.model_copy(
    update={
        "id": "fine-dtm",
        "title": "Made fine source",
        "surface": Surface.DTM,
        "resolution_m": 50.0,
        "priority": 10,
        "vertical_frame": "EPSG:9274",
        "accuracy_m": 0.3,
    }
)


def fractal(size: int, seed: int, low_m: float = 250.0, high_m: float = 2600.0, slope: float = 2.1) -> np.ndarray:
    """Square of fractal heights by spectral synthesis, ridged a little so that it looks like mountains."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    frequency[0, 0] = 1.0
    layers = []
    for power in (slope, slope - 0.25):
        spectrum = np.fft.fft2(rng.standard_normal((size, size))) * frequency**-power
        spectrum[0, 0] = 0.0
        layer = np.fft.ifft2(spectrum).real
        layers.append(layer / layer.std())
    ground = layers[0] * 0.8 - np.abs(layers[1])
    ground = (ground - ground.min()) / np.ptp(ground)
    return (low_m + (high_m - low_m) * ground**1.3).astype(np.float32)


def write_cog(path: Path, values: np.ndarray, tile: Tile, pixel_m: float, nodata: float | None) -> None:
    west, _, _, north = tile.bounds_m
    profile = {
        "driver": "COG",
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": values.dtype,
        "crs": "EPSG:3035",
        "transform": rasterio.Affine(pixel_m, 0, west, 0, -pixel_m, north),
        "nodata": nodata,
        "compress": "ZSTD",
        "blocksize": 256,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values, 1)


class World:
    """A store with published tiles and everything to make them again.

    Args:
        folder: Where store and sources are put.
        pixel_m: Pixel of the tiles; 100 is quick, 25 is for pictures.
        store: Where products go; a folder of its own when None.
    """

    def __init__(self, folder: Path, pixel_m: float = 100.0, store: Store | None = None) -> None:
        self.folder = folder
        self.pixel_m = pixel_m
        self.store: Store = store or LocalStore(folder / "store")
        self.settings = ProcessingSettings(pixel_size_m=pixel_m)
        self.planned: list[str] = []
        self.plan_error: OrographError | None = None
        self.source_version = "1"
        count = round(50_000 / pixel_m)
        ground = fractal(2 * count, seed=7)[: count + 0]
        self._ground = {WEST: ground[:, :count], EAST: ground[:, count:], UNPUBLISHED: ground[:, ::-1][:, :count]}
        for tile, heights in self._ground.items():
            step = max(1, round(250 / pixel_m))
            coarse = heights[: count // step * step, : count // step * step]
            coarse = coarse.reshape(count // step, step, count // step, step).mean(axis=(1, 3)).astype(np.float32)
            write_cog(self._source_path(COARSE, tile), coarse + 1.5, tile, pixel_m * step, -9999.0)
            write_cog(self._source_path(FINE, tile), heights, tile, pixel_m, -9999.0)

    def publish(self, *tiles: Tile) -> None:
        """Make and publish tiles."""
        for tile in tiles or (WEST, EAST):
            receipt = self.make(self.plan(tile, (), self.settings), lambda _stage, _fraction: None)
            publish_item(self.store, Manifest.from_json(self.store.get(receipt.manifest_key)))
        rebuild(self.store)

    def plan(self, tile: Tile, source_ids: tuple[str, ...], settings: ProcessingSettings) -> Job:
        self.planned.append(tile.id)
        if self.plan_error is not None:
            raise self.plan_error
        if tile not in self._ground:
            raise OutsideCoverage("no source has data here", tile=tile.id)
        unknown = set(source_ids) - {COARSE.id, FINE.id}
        if unknown:
            raise SourceUnknown(f"unknown source {min(unknown)!r}")
        chosen = [s for s in (FINE, COARSE) if not source_ids or s.id in source_ids]
        refs = tuple(
            SourceRef(
                source=source,
                files=(
                    FileRef(
                        href=str(self._source_path(source, tile)),
                        etag=f"sha256:{self.source_version}",
                        size_bytes=self._source_path(source, tile).stat().st_size,
                    ),
                ),
            )
            for source in chosen
        )
        return Job(tile, refs, settings)

    def make(self, job: Job, progress: ProgressCallback) -> Receipt:
        """A runner: products of a tile in the store, manifest last; up to date when it is there."""
        receipt = Receipt(job.tile.id, job.run_key, Status.DONE, job.manifest_key, seconds={"regrid": 0.1})
        if self.store.head(job.manifest_key) is not None:
            return Receipt(job.tile.id, job.run_key, Status.UP_TO_DATE, job.manifest_key)
        for stage in ("read", "regrid", "blend", "fill", "quality", "export"):
            progress(stage, 0.5)
        assets = tuple(self._assets(job))
        manifest = self._manifest(job, assets)
        keep_inputs(self.store, job)
        self.store.put(job.manifest_key, manifest.to_json(), if_absent=True)
        progress("commit", 1.0)
        return receipt

    def parts(self, engine: Engine | None = None) -> Parts:
        """Parts of a service over this world."""
        return Parts(
            store=self.store,
            planner=self.plan,
            settings_for=lambda _tile: self.settings,
            engine=engine or Engine(),
            runner=self.make,
            publish=publisher_of(self.store),
        )

    def _source_path(self, source: Source, tile: Tile) -> Path:
        return self.folder / "sources" / source.id / f"{tile.id}.tif"

    def _layers(self, job: Job) -> dict[str, tuple[np.ndarray, float | None, Band]]:
        heights = self._ground[job.tile].copy()
        count = heights.shape[0]
        rows, cols = np.mgrid[0:count, 0:count] / count
        index = np.where(rows + 0.25 * np.sin(6 * cols) < 0.55, 1, 2).astype(np.uint8)
        if len(job.sources) == 1:
            index[:] = 1
        sigma = np.where(index == 1, 0.3, 2.0 + 4.0 * np.abs(np.sin(9 * rows) * np.cos(7 * cols))).astype(np.float32)
        if job.tile == WEST:
            lake = (rows - 0.62) ** 2 / 0.02 + (cols - 0.3) ** 2 / 0.004 < 1
            heights[lake], sigma[lake], index[lake] = -9999.0, -9999.0, 0
        return {
            "elevation": (heights, -9999.0, _band("elevation", "float32", "m", -9999.0, 2600.0)),
            "uncertainty": (sigma, -9999.0, _band("uncertainty", "float32", "m", -9999.0)),
            "source_index": (index, 0.0, _band("source", "uint8", None, 0.0)),
        }

    def _assets(self, job: Job) -> Iterator[Asset]:
        for name, (values, nodata, band) in self._layers(job).items():
            path = self.folder / "scratch" / f"{job.run_key}-{name}-{threading.get_ident()}.tif"
            write_cog(path, values, job.tile, self.pixel_m, nodata)
            data = path.read_bytes()
            path.unlink()
            key = f"{job.prefix}/5e7/{name}.tif"
            if self.store.head(key) is None:
                self.store.put(key, data, media_type="image/tiff")
            yield Asset(
                name=name,
                filename=f"{name}.tif",
                title=name.replace("_", " "),
                media_type="image/tiff; application=geotiff; profile=cloud-optimized",
                roles=("data",),
                bands=(band,),
                key=key,
                size_bytes=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
            )

    def _manifest(self, job: Job, assets: tuple[Asset, ...]) -> Manifest:
        heights = self._layers(job)["elevation"][0]
        valid = heights > -9000
        ids = [ref.source.id for ref in job.sources]
        fractions = {ids[0]: 0.55, ids[1]: 0.45} if len(ids) == 2 else {ids[0]: 1.0}
        return Manifest(
            tile=job.tile.id,
            run_key=job.run_key,
            processing_version=1,
            software={"orograph": "test"},
            settings=job.settings.model_dump(mode="json"),
            sources=tuple(map(public_ref, job.sources)),
            grid={"crs": "EPSG:3035"},
            surface="mixed",
            vertical_frame="EPSG:5621",
            crs_wkt2=CRS.from_user_input("EPSG:3035+5621").to_wkt(),
            operations=tuple(
                OperationRecord(
                    source=id_,
                    frame_from="EPSG:3855",
                    frame_to="EPSG:5621",
                    operation="made",
                    steps=("made",),
                    accuracy_m=0.1,
                    shift_min_m=-0.4,
                    shift_max_m=-0.2,
                )
                for id_ in ids
            ),
            coregistration=(
                CoregistrationRecord(
                    source=ids[-1],
                    reference=ids[0],
                    method="nuth-kaab",
                    status="converged",
                    shift_east_m=4.2,
                    shift_north_m=-7.9,
                    shift_up_m=0.3,
                    nmad_before_m=3.1,
                    nmad_after_m=1.7,
                    sample_count=120_000,
                ),
            ),
            quality=Quality(
                pixels=int(heights.size),
                void_fraction=float(1 - valid.mean()),
                filled_fraction=0.002,
                source_fractions=fractions,
                height_min_m=float(heights[valid].min()),
                height_max_m=float(heights[valid].max()),
                height_mean_m=float(heights[valid].mean()),
                height_std_m=float(heights[valid].std()),
                uncertainty_median_m=1.4,
                border_step_m=0.06,
            ),
            assets=assets,
        )


class Engine:
    """Runs jobs in the caller's thread; holds them back while `gate` is clear, and counts what ran.

    Args:
        open_: Whether jobs may run at once.
        pace_s: Wait before each event.
    """

    name = "test"

    def __init__(self, *, open_: bool = True, pace_s: float = 0.0) -> None:
        self.gate = threading.Event()
        self.ran: list[str] = []
        self.error: OrographError | None = None
        self._pace_s = pace_s
        if open_:
            self.gate.set()

    def run(self, jobs: Iterable[Job], runner: Runner, on_event: EventCallback) -> Iterator[Outcome]:
        for job in jobs:

            def progress(stage: str, fraction: float, tile: str = job.tile.id) -> None:
                time.sleep(self._pace_s)
                on_event(Event(tile, stage, fraction))

            while not self.gate.wait(0.02):
                on_event(Event(job.tile.id, "waiting", 0.0))
            self.ran.append(job.run_key)
            if self.error is not None:
                yield Outcome(job, Status.FAILED, error=self.error)
                continue
            receipt = runner(job, progress)
            yield Outcome(job, receipt.status, receipt)


def _band(name: str, data_type: Any, unit: str | None, nodata: float, highest: float | None = None) -> Band:
    statistics = {} if highest is None else {"minimum": 0.0, "maximum": highest}
    return Band(name=name, description=name, data_type=data_type, unit=unit, nodata=nodata, statistics=statistics)


MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
