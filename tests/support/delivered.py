"""The same heights in every format that agencies deliver: one writer per format."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from pyproj import CRS

ROWS, COLS = 30, 40
PIXEL_M: Final = 50.0
AFFINE: Final = Affine(PIXEL_M, 0, 4_310_000, 0, -PIXEL_M, 3_020_000)
VOID: Final = -9999.0


def heights() -> np.ndarray:
    """Heights of two decimals, with a void."""
    row, col = np.mgrid[:ROWS, :COLS]
    z = np.round(150 + 3 * np.sin(col / 5) + 0.25 * row + 0.01 * ((row * 7 + col * 3) % 10), 2).astype(np.float32)
    z[4:8, 5:12] = np.nan
    return z


def _filled() -> np.ndarray:
    return np.where(np.isnan(heights()), np.float32(VOID), heights())


def geotiff(folder: Path, name: str = "dem.tif") -> Path:
    with rasterio.open(
        folder / name, "w", driver="GTiff", width=COLS, height=ROWS, count=1, dtype="float32", crs="EPSG:3035",
        transform=AFFINE, nodata=VOID,
    ) as file:  # fmt: skip
        file.write(_filled(), 1)
    return folder / name


def raw(driver: str, name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with (
            rasterio.Env(GDAL_PAM_ENABLED="YES", GDAL_DISABLE_READDIR_ON_OPEN="TRUE"),
            rasterio.open(
                folder / name, "w", driver=driver, width=COLS, height=ROWS, count=1, dtype="float32",
                crs="EPSG:3035", transform=AFFINE, nodata=VOID,
            ) as file,
        ):  # fmt: skip
            file.write(_filled(), 1)
        return folder / name

    return write


def ascii_text(*, nodata_line: bool = False, comma: bool = False) -> str:
    south = AFFINE.f + ROWS * AFFINE.e
    lines = [f"ncols {COLS}", f"nrows {ROWS}", f"xllcorner {AFFINE.c}", f"yllcorner {south}", f"cellsize {PIXEL_M}"]
    lines += ["NODATA_value -9999"] * nodata_line
    lines += [" ".join(f"{value:.2f}" for value in row) for row in _filled()]
    text = "\n".join(lines) + "\n"
    return text.replace(".", ",") if comma else text


def ascii_grid(*, name: str = "dem.asc", prj: str | None = None, **how: bool) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(ascii_text(**how))
        if prj is not None:
            (folder / prj).write_text(CRS.from_epsg(3035).to_wkt("WKT1_ESRI"))
        return folder / name

    return write


def point_text(
    *, separator: str = " ", comma: bool = False, heading: str = "", from_south: bool = False, by_columns: bool = False
) -> str:
    z = heights()
    places = [(row, col) for row in range(ROWS) for col in range(COLS) if not np.isnan(z[row, col])]
    if by_columns:
        places.sort(key=lambda place: place[::-1])
    if from_south:
        places.reverse()
    text = "".join(
        f"{AFFINE.c + PIXEL_M * (col + 0.5)}{separator}{AFFINE.f - PIXEL_M * (row + 0.5)}{separator}{z[row, col]:.2f}\n"
        for row, col in places
    )
    return heading + (text.replace(".", ",") if comma else text)


def points(name: str = "dem.xyz", **how: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(point_text(**how))  # type: ignore[arg-type]
        return folder / name

    return write


def zipped(name: str, inner: str, write: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """A zip with nested folders, a Macintosh's leftovers, a text to read, and what belongs to the raster."""

    def pack(folder: Path) -> Path:
        apart = folder / "apart"
        apart.mkdir()
        raster = write(apart)
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("__MACOSX/._dem.tif", b"x")
            archive.writestr("README.TXT", "please read me\n")
            for file in _files(apart):
                stem = Path(inner).stem
                where = inner if file == raster else file.name.replace(raster.stem, stem, 1)
                archive.write(file, f"DTM/Tile 1/{where}")
        for file in _files(apart):
            file.unlink()
        return folder / name

    return pack


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in sorted(folder.iterdir()) if file.is_file())


def vrt(folder: Path) -> Path:
    geotiff(folder)
    (folder / "dem.vrt").write_text(
        f'<VRTDataset rasterXSize="{COLS}" rasterYSize="{ROWS}"><SRS>EPSG:3035</SRS>'
        f"<GeoTransform>{', '.join(map(str, AFFINE.to_gdal()))}</GeoTransform>"
        f'<VRTRasterBand dataType="Float32" band="1"><NoDataValue>{VOID}</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">dem.tif</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{COLS}" ySize="{ROWS}"/><DstRect xOff="0" yOff="0" xSize="{COLS}" ySize="{ROWS}"/>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    return folder / "dem.vrt"


def tile_index(folder: Path) -> Path:
    path = geotiff(folder)
    west, north = AFFINE.c, AFFINE.f
    place = shapely.box(west, north + ROWS * AFFINE.e, west + COLS * PIXEL_M, north)
    pyogrio.raw.write(
        folder / "dem.gti.gpkg", np.array([shapely.to_wkb(place)]), [np.array([path.name])], ["location"],
        geometry_type="Polygon", crs="EPSG:3035", driver="GPKG",
    )  # fmt: skip
    return folder / "dem.gti.gpkg"


def tile_index_description(folder: Path) -> Path:
    tile_index(folder)
    (folder / "dem.gti").write_text(
        "<GDALTileIndexDataset><IndexDataset>dem.gti.gpkg</IndexDataset></GDALTileIndexDataset>"
    )
    return folder / "dem.gti"


def esri_grid(folder: Path) -> Path:
    """A binary grid of Esri (ArcInfo): uncompressed float tiles of 256 x 4 pixels, big-endian; GDAL reads and never writes it."""
    place = folder / "grid"
    place.mkdir()
    magic, wide, high = bytes([0, 0, 0x27, 0x0A, 0xFF, 0xFF, 0xFC, 0x14]), 256, 4
    across, down = -(-COLS // wide), -(-ROWS // high)
    head = bytearray(308)
    head[:8] = b"GRID1.2\0"
    struct.pack_into(">i", head, 16, 2)
    struct.pack_into(">dd", head, 256, PIXEL_M, PIXEL_M)
    struct.pack_into(">5i", head, 288, across, down, wide, 1, high)
    (place / "hdr.adf").write_bytes(head)
    south, east = AFFINE.f + ROWS * AFFINE.e, AFFINE.c + COLS * PIXEL_M
    (place / "dblbnd.adf").write_bytes(struct.pack(">4d", AFFINE.c, south, east, AFFINE.f))
    z = heights()
    (place / "sta.adf").write_bytes(struct.pack(">4d", np.nanmin(z), np.nanmax(z), np.nanmean(z), np.nanstd(z)))
    padded = np.full((down * high, across * wide), np.finfo(np.float32).min, np.float32)
    padded[:ROWS, :COLS] = np.where(np.isnan(z), padded[:ROWS, :COLS], z)
    data, index = bytearray(magic + bytes(92)), bytearray(magic + bytes(92))
    for row in range(down):
        block = padded[row * high : (row + 1) * high].astype(">f4").tobytes()
        index += struct.pack(">ii", len(data) // 2, len(block) // 2)
        data += struct.pack(">H", len(block) // 2) + block
    for name, file in (("w001001.adf", data), ("w001001x.adf", index)):
        struct.pack_into(">i", file, 24, len(file) // 2)
        (place / name).write_bytes(file)
    (place / "prj.adf").write_text(CRS.from_epsg(3035).to_wkt("WKT1_ESRI"))
    return place / "hdr.adf"


def world_file(folder: Path) -> Path:
    """A TIFF without keys: position in `.tfw`, nodata in `.aux.xml`."""
    from PIL import Image

    Image.fromarray(_filled()).save(folder / "dem.tif")
    x, y = AFFINE @ (0.5, 0.5)
    (folder / "dem.tfw").write_text(f"{PIXEL_M}\n0\n0\n{-PIXEL_M}\n{x}\n{y}\n")
    (folder / "dem.tif.aux.xml").write_text(
        f'<PAMDataset><PAMRasterBand band="1"><NoDataValue>{VOID}</NoDataValue></PAMRasterBand></PAMDataset>'
    )
    return folder / "dem.tif"


def masked(folder: Path) -> Path:
    """A TIFF whose voids are in a `.msk` next to it."""
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(
            folder / "dem.tif", "w", driver="GTiff", width=COLS, height=ROWS, count=1, dtype="float32", crs="EPSG:3035",
            transform=AFFINE,
        ) as file,
    ):  # fmt: skip
        file.write(np.nan_to_num(heights()), 1)
        file.write_mask(np.isfinite(heights()))
    assert (folder / "dem.tif.msk").exists()
    return folder / "dem.tif"


FORMATS: Final[dict[str, Callable[[Path], Path]]] = {
    "GeoTIFF": geotiff,
    "GeoTIFF with .tfw and .aux.xml": world_file,
    "GeoTIFF with .msk": masked,
    "ASCII grid without .prj and NODATA": ascii_grid(),
    "ASCII grid in upper case with .PRJ": ascii_grid(name="DEM.ASC", prj="DEM.PRJ", nodata_line=True),
    "ASCII grid with decimal commas": ascii_grid(comma=True),
    "XYZ": points(),
    "XYZ from the south": points(from_south=True),
    "XYZ by columns": points("DEM.XYZ", by_columns=True),
    "XYZ with semicolons, commas and a heading": points("dem.csv", separator=";", comma=True, heading="X;Y;Z\n"),
    "XYZ with tabs": points("dem.txt", separator="\t", heading="# x\ty\tz\n"),
    "XYZ separated by commas": points("dem.csv", separator=",", heading="x,y,z\n"),
    "zipped GeoTIFF": zipped("dem.zip", "DEM.TIF", geotiff),
    "zipped GeoTIFF with side-cars": zipped("dem.zip", "dem.tif", world_file),
    "zipped ASCII grid": zipped("DEM.ZIP", "DEM.ASC", ascii_grid(prj="dem.prj")),
    "zipped XYZ": zipped("dem.zip", "dem.XYZ", points()),
    "ENVI": raw("ENVI", "dem.img"),
    "ENVI without a suffix": raw("ENVI", "dem"),
    "Esri raw raster": raw("EHdr", "dem.bil"),
    "SAGA grid": raw("SAGA", "dem.sdat"),
    "ERDAS Imagine": raw("HFA", "dem.img"),
    "Esri grid": esri_grid,
    "VRT": vrt,
    "GDAL tile index": tile_index,
    "GDAL tile index by its description": tile_index_description,
}
