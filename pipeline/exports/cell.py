"""Products of one cell: geographic COG, HGT files, contours; each sampled from the tiles on its own lattice."""

from __future__ import annotations

import statistics
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from orograph.pipeline.core.grid import Cell, Tile
from orograph.pipeline.core.numerics import merged_numerics
from orograph.pipeline.core.software import software_versions
from orograph.pipeline.errors import AllVoid
from orograph.pipeline.exports.cell_job import CellJob, CellSettings
from orograph.pipeline.exports.cell_lattice import GEOGRAPHIC_CRS, cell_geobox, point_lattice
from orograph.pipeline.exports.frame_shift import FrameShift
from orograph.pipeline.exports.geographic_cog import PIXELS, write_geographic
from orograph.pipeline.exports.hgt import SAMPLES, VOID, hgt_name, sample_cell, write_hgt
from orograph.pipeline.exports.mosaic import Mosaic
from orograph.pipeline.exports.mosaic import peak_bytes as sampling_bytes
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.contours import Line, trace, write_contours
from orograph.pipeline.formats.scratch import writing
from orograph.pipeline.job import ProgressCallback
from orograph.pipeline.manifest import (
    Asset,
    Band,
    CoregistrationRecord,
    Manifest,
    OperationRecord,
    Product,
    ProductInfo,
    Quality,
)
from orograph.pipeline.sources.refs import FileListing, SourceRef
from orograph.pipeline.version import PROCESSING_VERSION
from orograph.pipeline.vertical import Operation, compound_crs

COG_TYPE: Final = "image/tiff; application=geotiff; profile=cloud-optimized"
HGT_TYPE: Final = "application/octet-stream"
ZIP_TYPE: Final = "application/zip"
_CONTOUR_TYPES: Final = {
    "shp": ZIP_TYPE,
    "gpkg": "application/geopackage+sqlite3",
    "fgb": "application/vnd.flatgeobuf",
}
GDAL_CACHE_BYTES: Final = 64 * 2**20
_CONTOUR_BYTES: Final = 80_000_000
_ARC_SECOND_M: Final = 30.87
_ZIP_DATE: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class CellResult:
    """Output of `export_cell` on local disk; committed like a tile."""

    job: CellJob
    products: tuple[Product, ...]
    draft: dict[str, Any]

    def manifest(self, assets: tuple[Asset, ...]) -> Manifest:
        """The manifest, once the assets are committed."""
        return Manifest(assets=assets, **self.draft)


def peak_bytes(settings: CellSettings) -> int:
    """Peak memory of one cell above imports, for any pixel size of the tiles: the largest of its products.

    Sampling in blocks, plus the COG's writer, the HGT's samples with their big-endian copy and zip, or the
    contours' lattice with a batch of segments and the lines.
    """
    largest = 0
    if "geographic" in settings.products:
        largest = cog.peak_bytes((PIXELS, PIXELS), window_px=512)
    for name, seconds in (("hgt1", 1), ("hgt3", 3)):
        if name in settings.products:
            largest = max(largest, 3 * 2 * SAMPLES[seconds] ** 2)
    if "contours" in settings.products:
        largest = max(largest, 4 * SAMPLES[settings.contour_arc_seconds] ** 2 + _CONTOUR_BYTES)
    return GDAL_CACHE_BYTES + sampling_bytes() + largest


def export_cell(
    job: CellJob,
    files: Mapping[Tile, Path],
    manifests: Sequence[Manifest],
    folder: Path,
    *,
    operation: Operation | None,
    progress: ProgressCallback,
) -> CellResult:
    """Make a cell's files on local disk.

    Args:
        job: The cell and its settings.
        files: Elevation COGs of the touched tiles.
        manifests: The tiles' manifests, in the order of the tiles.
        folder: Where to write.
        operation: Transforms heights from the tiles' frame to that of the settings; None if they are equal.
        progress: Called for each product.

    Raises:
        AllVoid: the tiles contain no height in the cell.
        ExportError, OutsideCoverage, OutsideAreaOfUse, DiskFull: a product cannot be written.
    """
    settings = job.settings
    frame = settings.frame or manifests[0].vertical_frame
    shift = FrameShift(operation) if operation is not None and operation.steps else None
    with Mosaic(files, missing=settings.missing) as mosaic:
        quality = _quality(job, mosaic, shift, manifests)
        maker = _Maker(job, mosaic, shift, frame, folder)
        products: list[Product] = []
        for number, name in enumerate(settings.products):
            progress(name, number / len(settings.products))
            products.extend(maker.make(name))
    draft = _draft(job, manifests, frame, operation, quality)
    return CellResult(job, tuple(products), draft)


@dataclass(frozen=True, slots=True)
class _Maker:
    job: CellJob
    mosaic: Mosaic
    shift: FrameShift | None
    frame: str
    folder: Path

    def make(self, name: str) -> Iterator[Product]:
        makers: dict[str, Callable[[], Iterator[Product]]] = {
            "geographic": self._geographic,
            "hgt1": lambda: self._hgt(1),
            "hgt3": lambda: self._hgt(3),
            "contours": self._contours,
        }
        return makers[name]()

    def _geographic(self) -> Iterator[Product]:
        cell, settings = self.job.cell, self.job.settings
        path = self.folder / f"{cell.id}_dem.tif"
        how = cog.Encoding(settings.compression, settings.lerc_max_error_m)
        done = write_geographic(self.mosaic, cell, path, frame=self.frame, shift=self.shift, encoding=how)
        band = Band(
            name="elevation",
            description=f"Heights in {self.frame}, 1 arc-second",
            data_type="float32",
            unit="m",
            nodata=cog.NODATA,
            statistics=done.statistics[0].to_dict(),
        )
        yield _product(path, "dem", f"Elevation of {cell.id}, 1 arc-second", COG_TYPE, ("data",), (band,))

    def _hgt(self, arc_seconds: int) -> Iterator[Product]:
        cell = self.job.cell
        zipped = self.job.settings.zip_hgt or arc_seconds == 3
        name = f"{cell.id}.SRTMGL3.hgt.zip" if arc_seconds == 3 else hgt_name(cell, zipped=zipped)
        samples = sample_cell(self.mosaic, cell, arc_seconds, self.shift)
        path = self.folder / name
        write_hgt(path, cell, samples)
        band = Band(
            name="elevation",
            description=f"Whole metres in {self.frame}, rounded half away from zero",
            data_type="int16",
            unit="m",
            nodata=VOID,
            statistics={"valid_percent": 100.0 * float((samples != VOID).mean())},
        )
        title = f"HGT of {cell.id}, {SAMPLES[arc_seconds]} samples, {self.frame}"
        media = ZIP_TYPE if zipped else HGT_TYPE
        yield _product(path, f"hgt{arc_seconds}", title, media, ("data",), (band,))

    def _contours(self) -> Iterator[Product]:
        cell, settings = self.job.cell, self.job.settings
        steps = SAMPLES[settings.contour_arc_seconds] - 1
        heights = self.mosaic.sample(point_lattice(cell, steps + 1), self.shift)
        found = trace(heights, settings.contour_interval_m)
        del heights
        title = f"Contours of {cell.id} every {settings.contour_interval_m:g} m, {self.frame}"
        for kind in settings.contour_formats:
            if kind == "shp":
                path = self._zipped_shapefile(found, steps)
            else:
                path = self.folder / f"{cell.id}_contours.{kind}"
                write_contours(found, path, place=cell_place(cell, steps), crs=GEOGRAPHIC_CRS, layer="contours")
            yield _product(path, f"contours_{kind}", title, _CONTOUR_TYPES[kind], ("data",))

    def _zipped_shapefile(self, found: Any, steps: int) -> Path:
        cell = self.job.cell
        parts = self.folder / f"{cell.id}_contours"
        parts.mkdir()
        write_contours(found, parts / f"{cell.id}.shp", place=cell_place(cell, steps), crs=GEOGRAPHIC_CRS)
        path = self.folder / f"{cell.id}_contours.shp.zip"
        with writing(path), zipfile.ZipFile(path, "w") as archive:
            for part in sorted(parts.iterdir()):
                entry = zipfile.ZipInfo(f"{cell.id}/{part.name}", _ZIP_DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, part.read_bytes(), compresslevel=6)
                part.unlink()
        parts.rmdir()
        return path


def cell_place(cell: Cell, steps: int) -> Callable[[Line], Line]:
    """Transform lattice units to degrees so that both cells at a border compute the same numbers."""

    def place(points: Line) -> Line:
        lon = (cell.lon * steps + points[:, 0]) / steps
        lat = ((cell.lat + 1) * steps - points[:, 1]) / steps
        return np.column_stack([lon, lat])

    return place


def _product(
    path: Path, name: str, title: str, media_type: str, roles: tuple[str, ...], bands: tuple[Band, ...] = ()
) -> Product:
    info = ProductInfo(name=name, filename=path.name, title=title, media_type=media_type, roles=roles, bands=bands)
    return Product(info, path)


def _quality(job: CellJob, mosaic: Mosaic, shift: FrameShift | None, manifests: Sequence[Manifest]) -> Quality:
    heights = mosaic.sample(point_lattice(job.cell, SAMPLES[3]), shift)
    valid = heights[np.isfinite(heights)].astype(np.float64)
    if not valid.size:
        raise AllVoid("the published tiles contain no height in this cell", tile=job.cell.id)
    fractions: dict[str, float] = {}
    for manifest in manifests:
        for source, fraction in manifest.quality.source_fractions.items():
            fractions[source] = fractions.get(source, 0.0) + fraction / len(manifests)
    return Quality(
        pixels=heights.size,
        void_fraction=1.0 - valid.size / heights.size,
        filled_fraction=_mean(manifest.quality.filled_fraction for manifest in manifests),
        # Not rounded to zero: a source of a few pixels also has a licence.
        source_fractions={source: max(round(part, 9), 1e-9) for source, part in sorted(fractions.items()) if part},
        height_min_m=float(valid.min()),
        height_max_m=float(valid.max()),
        height_mean_m=float(valid.mean()),
        height_std_m=float(valid.std()),
        details={
            "source_fractions": "mean over the tiles the cell touches",
            "filled_fraction": "mean over the tiles the cell touches",
            "heights": "3 arc-second samples",
        },
    )


def _mean(values: Iterable[float]) -> float:
    return round(statistics.fmean(values), 9)


def _draft(
    job: CellJob, manifests: Sequence[Manifest], frame: str, operation: Operation | None, quality: Quality
) -> dict[str, Any]:
    operations = list(dict.fromkeys(_frozen(record) for manifest in manifests for record in manifest.operations))
    records = [OperationRecord.model_validate_json(text) for text in operations]
    if operation is not None and operation.steps:
        records.append(_export_record(job, operation))
    geobox = cell_geobox(job.cell, PIXELS)
    surfaces = {manifest.surface for manifest in manifests}
    return {
        "tile": job.cell.id,
        "run_key": job.run_key,
        "processing_version": PROCESSING_VERSION,
        "software": software_versions(),
        "settings": {
            **job.settings.model_dump(mode="json"),
            "pixel_size_m": _ARC_SECOND_M * min(_arc_seconds(job.settings)),
            "tiles": {ref.tile.id: ref.asset_prefix for ref in job.inputs},
        },
        "sources": _sources(manifests),
        "grid": {
            "crs": GEOGRAPHIC_CRS,
            "transform": list(geobox.affine)[:6],
            "shape": list(geobox.shape.shape),
            "bounds": list(job.cell.bounds_deg),
        },
        "surface": surfaces.pop() if len(surfaces) == 1 else "mixed",
        "vertical_frame": frame,
        "crs_wkt2": compound_crs(GEOGRAPHIC_CRS, frame).to_wkt("WKT2_2019"),
        "operations": tuple(records),
        "coregistration": tuple(
            _of_tile(manifest, record) for manifest in manifests for record in manifest.coregistration
        ),
        "models": _models(manifests),
        "numerics": merged_numerics(manifest.numerics for manifest in manifests),
        "quality": quality,
    }


def _sources(manifests: Sequence[Manifest]) -> tuple[SourceRef, ...]:
    """The tiles' sources, best first, each with the files of all tiles; file listings stay with their tiles."""
    found: dict[str, SourceRef] = {}
    for ref in (ref for manifest in manifests for ref in manifest.sources):
        known = found.get(ref.source.id)
        if known is None:
            found[ref.source.id] = ref
        elif known.listing is None and ref.listing is None:
            files = tuple(dict.fromkeys((*known.files, *ref.files)))
            found[ref.source.id] = ref.model_copy(update={"files": files})
        else:
            found[ref.source.id] = ref.model_copy(update={"files": (), "listing": FileListing.joined(known, ref)})
    return tuple(sorted(found.values(), key=lambda ref: ref.source.rank))


def _models(manifests: Sequence[Manifest]) -> dict[str, str]:
    """All models used by any of the tiles."""
    found: dict[str, dict[str, None]] = {}
    for name, joined in (item for manifest in manifests for item in manifest.models.items()):
        found.setdefault(name, {}).update(dict.fromkeys(joined.split("+")))
    return {name: "+".join(parts) for name, parts in found.items()}


def _of_tile(manifest: Manifest, record: CoregistrationRecord) -> CoregistrationRecord:
    """Summary of a tile's record: the estimate, whether it was applied, and the tile."""
    kept = {name: record.details[name] for name in ("applied",) if name in record.details}
    return record.model_copy(update={"details": {**kept, "tile": manifest.tile}})


def _arc_seconds(settings: CellSettings) -> Iterator[int]:
    """Sample spacing of each product."""
    known = {"geographic": 1, "hgt1": 1, "hgt3": 3, "contours": settings.contour_arc_seconds}
    return (known[name] for name in settings.products)


def _frozen(record: OperationRecord) -> str:
    return record.model_dump_json()


def _export_record(job: CellJob, operation: Operation) -> OperationRecord:
    shifts = FrameShift(operation)(point_lattice(job.cell, 31))
    return OperationRecord(
        source="export",
        frame_from=operation.frame_from,
        frame_to=operation.frame_to,
        operation=operation.id,
        steps=operation.labels,
        grids={grid.name: grid.sha256 for grid in operation.grids},
        accuracy_m=round(operation.accuracy_m, 4),
        shift_min_m=round(float(np.nanmin(shifts)), 4),
        shift_max_m=round(float(np.nanmax(shifts)), 4),
        derived=operation.derived,
        notes=operation.notes,
    )
