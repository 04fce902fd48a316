"""Makes the demo's sources: two national DTMs on either side of a border and a global DSM over both.

The truth is a surface in EVRF2007 over two tiles at the border of the Netherlands and Germany. The Dutch DTM is in
RD New and NAP, the German one in UTM 32 and DHHN2016; both operations to EVRF2007 need no grid. The global DSM
imitates GLO-30: 1 arc-second, points, heights above its own geoid (whose grid is made too), footprint averaging, a
horizontal shift, canopy, correlated noise, and voids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
import yaml
from affine import Affine
from pyproj import Transformer
from scipy.ndimage import gaussian_filter

from orograph.pipeline.core.grid import TILE_CRS, Tile
from orograph.pipeline.demo.terrain import TerrainField, noise, relief
from orograph.pipeline.vertical import VerticalCatalogue

TILES: Final = (Tile(4000, 3100), Tile(4050, 3100))
TRUTH_FRAME: Final = "EPSG:5621"
SHIFT_EAST_M: Final = 12.4
SHIFT_NORTH_M: Final = -7.8
_SPACING_M: Final = 25.0
_MARGIN_M: Final = 8_000.0
_NODATA: Final = -9999.0

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Paths of the source files, and the truth.

    Attributes:
        catalogue: YAML catalogue of the three sources.
        truth: Height in EVRF2007 at any EPSG:3035 coordinate.
        border: Easting of the border at a northing.
        canopy: Height of the canopy above terrain.
    """

    catalogue: Path
    truth: TerrainField
    border: TerrainField
    canopy: TerrainField

    def in_netherlands(self, east_m: npt.ArrayLike, north_m: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """True for places west of the border."""
        return np.asarray(east_m) < self.border(np.zeros_like(np.asarray(north_m)), north_m)


def make_world(folder: Path, seed: int = 7, progress: Callable[[str], None] = lambda _text: None) -> World:
    """Write all sources and their catalogue into a folder; the same seed gives the same world."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    west = min(tile.bounds_m[0] for tile in TILES) - _MARGIN_M
    south = min(tile.bounds_m[1] for tile in TILES) - _MARGIN_M
    east = max(tile.bounds_m[2] for tile in TILES) + _MARGIN_M
    north = max(tile.bounds_m[3] for tile in TILES) + _MARGIN_M
    shape = (round((north - south) / _SPACING_M), round((east - west) / _SPACING_M))
    progress("truth terrain")
    heights = relief(shape, rng, _SPACING_M)
    truth = TerrainField.through(heights, west, north, _SPACING_M)
    border = _border(rng, north, shape[0])
    canopy = _canopy(shape, rng)
    world = World(folder / "catalogue.yaml", truth, border, TerrainField.through(canopy, west, north, _SPACING_M))
    progress("Dutch DTM, 10 m, RD New and NAP")
    # Each nation's DTM extends a few hundred metres beyond the border, as real ones do.
    _national(
        folder / "nl_dtm_10m.tif",
        world,
        "EPSG:28992",
        "EPSG:5709",
        10.0,
        lambda e, n: world.in_netherlands(e - 300.0, n),
    )
    progress("German DTM, 10 m, UTM 32 and DHHN2016")
    _national(
        folder / "de_dtm_10m.tif",
        world,
        "EPSG:25832",
        "EPSG:7837",
        10.0,
        lambda e, n: ~world.in_netherlands(e + 300.0, n),
    )
    progress("global DSM, 1 arc-second")
    grid = _geoid(folder / "demo_geoid.tif")
    _global(folder / "global_dsm_1s.tif", heights + canopy, (west, north), rng)
    _write_catalogue(world.catalogue, grid)
    return world


def _border(rng: np.random.Generator, north_m: float, rows: int) -> TerrainField:
    """Easting of the border as a function of northing: a line that wanders a few kilometres."""
    wander = noise((rows, 4), rng, falloff=1.6, shortest_px=1_500 / _SPACING_M, longest_px=25_000 / _SPACING_M)[:, :1]
    middle = (TILES[0].bounds_m[2]) - 6_000.0
    eastings = np.repeat(middle + 2_500.0 * wander, 4, axis=1)
    return TerrainField.through(eastings, west_m=-2 * _SPACING_M, north_m=north_m, spacing_m=_SPACING_M)


def _national(
    path: Path,
    world: World,
    crs: str,
    frame: str,
    pixel_m: float,
    owned: Callable[[npt.NDArray[Any], npt.NDArray[Any]], npt.NDArray[np.bool_]],
) -> None:
    """A nation's DTM: truth at the centres of its own pixels, in its own frame, void beyond its border and coverage."""
    west, south, east, north = _coverage()
    to_national = Transformer.from_crs(TILE_CRS, crs, always_xy=True)
    ring = np.linspace(0, 1, 50)
    xs, ys = to_national.transform(
        np.concatenate([west + (east - west) * ring] * 2), np.repeat([south, north], ring.size)
    )
    left, bottom = (np.floor(min(v) / 1000) * 1000 for v in (xs, ys))
    cols, rows = (int(np.ceil((max(v) - low) / pixel_m)) for v, low in ((xs, left), (ys, bottom)))
    affine = Affine(pixel_m, 0, left, 0, -pixel_m, bottom + rows * pixel_m)
    operation = VerticalCatalogue.load().operation(frame, TRUTH_FRAME, grids_dir=path.parent)

    def block(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> FloatArray:
        east_m, north_m = _inverse(to_national, x, y)
        inside = (east_m > west) & (east_m < east) & (north_m > south) & (north_m < north) & owned(east_m, north_m)
        heights = np.full(x.shape, _NODATA, np.float32)
        if inside.any():
            e, n = east_m[inside], north_m[inside]
            lon, lat = _degrees().transform(e, n)
            heights[inside] = world.truth(e, n) - np.asarray(operation.shift(lon, lat), np.float32)
        return heights

    _write(path, (rows, cols), affine, crs, block, nodata=_NODATA)


def _canopy(shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Woods with sharp edges on about an eighth of the area, 16 to 25 m high."""
    forest = noise(shape, rng, falloff=1.3, shortest_px=250 / _SPACING_M, longest_px=6_000 / _SPACING_M)
    return np.clip((forest - 1.1) * 60.0, 0.0, 1.0) * (16.0 + 4.0 * np.abs(forest))


def _global(
    path: Path, surface_m: npt.NDArray[np.float64], corner: tuple[float, float], rng: np.random.Generator
) -> None:
    """The DSM: averaged, displaced, with canopy and noise, over the demo geoid, as pixel-is-point."""
    west, north = corner
    footprint = gaussian_filter(surface_m, 14.0 / _SPACING_M)
    rough = noise(surface_m.shape, rng, falloff=0.8, shortest_px=70 / _SPACING_M, longest_px=400 / _SPACING_M)
    surface = TerrainField.through(footprint + 0.8 * rough, west, north, _SPACING_M)
    lon0, lat0, lon1, lat1 = _coverage_deg()
    step = 1.0 / 3600.0
    # Point samples on whole arc-seconds; GDAL's corner is half a pixel further out.
    first_lon, first_lat = np.floor(lon0 * 3600) / 3600, np.ceil(lat1 * 3600) / 3600
    cols, rows = int(np.ceil((lon1 - first_lon) * 3600)), int(np.ceil((first_lat - lat0) * 3600))
    affine = Affine(step, 0, first_lon - step / 2, 0, -step, first_lat + step / 2)

    def block(lon: npt.NDArray[Any], lat: npt.NDArray[Any]) -> FloatArray:
        east_m, north_m = _inverse(_degrees(), lon, lat)
        value = surface(east_m - SHIFT_EAST_M, north_m - SHIFT_NORTH_M) - _geoid_shift(lon, lat)
        return np.asarray(value, np.float32)

    _write(path, (rows, cols), affine, "EPSG:4326", block, nodata=None, points=True, voids=_voids((rows, cols), rng))


def _voids(shape: tuple[int, int], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Small holes everywhere, and a few large ones."""
    void = np.zeros(shape, bool)
    for count, radii in ((60, (1, 4)), (3, (18, 30))):
        for _ in range(count):
            row, col, radius = rng.integers(0, shape[0]), rng.integers(0, shape[1]), rng.integers(*radii)
            rows, cols = np.ogrid[: shape[0], : shape[1]]
            r0, r1 = max(row - radius, 0), row + radius + 1
            c0, c1 = max(col - radius, 0), col + radius + 1
            disc = (rows[r0:r1] - row) ** 2 + (cols[:, c0:c1] - col) ** 2 <= radius**2
            void[r0:r1, c0:c1] |= disc
    return void


def _geoid_shift(lon_deg: npt.NDArray[Any], lat_deg: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """EVRF2007 minus the demo geoid's heights, metres: a tilted, slightly wavy surface."""
    return (
        0.62 + 0.21 * (lon_deg - 6.0) - 0.17 * (lat_deg - 51.0) + 0.04 * np.sin(5.0 * lon_deg) * np.cos(4.0 * lat_deg)
    )


def _geoid(path: Path) -> str:
    """Write the demo geoid's grid, one minute of arc; returns its sha256."""
    step = 1.0 / 60.0
    lon0, lat0, lon1, lat1 = _coverage_deg()
    lon = np.arange(np.floor(lon0 * 60 - 3) / 60, lon1 + 3 * step, step)
    lat = np.arange(np.ceil(lat1 * 60 + 3) / 60, lat0 - 3 * step, -step)
    values = _geoid_shift(*np.meshgrid(lon, lat)).astype(np.float32)
    affine = Affine(step, 0, lon[0] - step / 2, 0, -step, lat[0] + step / 2)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=lon.size,
        height=lat.size,
        count=1,
        dtype="float32",
        crs="EPSG:4258",
        transform=affine,
    ) as dataset:
        dataset.write(values, 1)
        dataset.update_tags(AREA_OR_POINT="Point", TYPE="VERTICAL_OFFSET_GEOGRAPHIC_TO_VERTICAL")
        dataset.update_tags(1, DESCRIPTION="geoid_undulation", UNITTYPE="metre")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(
    path: Path,
    shape: tuple[int, int],
    affine: Affine,
    crs: str,
    block: Callable[[npt.NDArray[Any], npt.NDArray[Any]], FloatArray],
    *,
    nodata: float | None,
    points: bool = False,
    voids: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Write a raster strip by strip from a function of its own coordinates."""
    profile = {
        "driver": "GTiff",
        "height": shape[0],
        "width": shape[1],
        "count": 1,
        "dtype": "float32",
        "crs": crs,
        "transform": affine,
        "nodata": np.nan if nodata is None else nodata,
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "zstd",
        "zstd_level": 1,
        "predictor": 3,
    }
    x = affine.c + (np.arange(shape[1]) + 0.5) * affine.a
    with rasterio.open(path, "w", **profile) as dataset:
        if points:
            dataset.update_tags(AREA_OR_POINT="Point")
        for row in range(0, shape[0], 256):
            rows = np.arange(row, min(row + 256, shape[0]))
            xs, ys = np.meshgrid(x, affine.f + (rows + 0.5) * affine.e)
            heights = block(xs, ys)
            if voids is not None:
                heights[voids[rows]] = np.nan
            dataset.write(heights, 1, window=((row, row + rows.size), (0, shape[1])))


def _write_catalogue(path: Path, geoid_sha256: str) -> None:
    made = {
        "providers": [{"name": "Orograph demo world"}],
        "licence": "CC0-1.0",
        "attribution": "made by orograph demo",
    }
    lon0, lat0, lon1, lat1 = _coverage_deg()
    area = [round(lon0 - 0.3, 2), round(lat0 - 0.3, 2), round(lon1 + 0.3, 2), round(lat1 + 0.3, 2)]

    def source(name: str, title: str, file: str, **described: Any) -> dict[str, Any]:
        return {
            "id": name,
            "title": title,
            **made,
            "data": {"kind": "files", "hrefs": [file]},
            "area_deg": area,
            **described,
        }

    dtm = {"surface": "DTM", "resolution_m": 10.0, "thinning": "decimated", "accuracy_m": 0.2}
    sources = [
        source(
            "demo-nl",
            "Synthetic Dutch DTM",
            "nl_dtm_10m.tif",
            horizontal_crs="EPSG:28992",
            vertical_frame="EPSG:5709",
            priority=2,
            **dtm,
        ),
        source(
            "demo-de",
            "Synthetic German DTM",
            "de_dtm_10m.tif",
            horizontal_crs="EPSG:25832",
            vertical_frame="EPSG:7837",
            priority=1,
            **dtm,
        ),
        source(
            "demo-global",
            "Synthetic global DSM",
            "global_dsm_1s.tif",
            horizontal_crs="EPSG:4326",
            vertical_frame="EPSG:3855",
            surface="DSM",
            resolution_m=30.0,
            thinning="averaged",
            pixel="point",
            accuracy_m=2.0,
            priority=-1,
            vertical_grid={
                "path": "demo_geoid.tif",
                "sha256": geoid_sha256,
                "accuracy_m": 0.02,
                "frame_to": TRUTH_FRAME,
            },
        ),
    ]
    path.write_text(yaml.safe_dump({"sources": sources}, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _coverage() -> tuple[float, float, float, float]:
    """Area mapped by the national surveys: the middle of both tiles, so that the global model is needed around it."""
    west, south, east, north = TILES[0].bounds_m[0], TILES[0].bounds_m[1], TILES[1].bounds_m[2], TILES[0].bounds_m[3]
    return west + 14_000.0, south + 9_000.0, east - 17_000.0, north - 8_000.0


def _coverage_deg() -> tuple[float, float, float, float]:
    """The global model's extent: both tiles and a margin."""
    margin = 6_000.0
    west, south, east, north = TILES[0].bounds_m[0], TILES[0].bounds_m[1], TILES[1].bounds_m[2], TILES[0].bounds_m[3]
    xs = np.linspace(west - margin, east + margin, 60)
    ys = np.linspace(south - margin, north + margin, 60)
    east_m, north_m = np.meshgrid(xs, ys)
    lon, lat = _degrees().transform(east_m.ravel(), north_m.ravel())
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def _degrees() -> Transformer:
    return Transformer.from_crs(TILE_CRS, "EPSG:4258", always_xy=True)


def _inverse(
    transformer: Transformer, x: npt.NDArray[Any], y: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """EPSG:3035 coordinates of a block, by bilinear nodes every 32 pixels, which is accurate enough here."""
    rows, cols = x.shape
    ri, ci = (np.unique(np.append(np.arange(0, n, 32), n - 1)) for n in (rows, cols))
    e, n = transformer.transform(x[np.ix_(ri, ci)], y[np.ix_(ri, ci)], direction="INVERSE")
    along = [np.stack([np.interp(np.arange(cols), ci, line) for line in part]) for part in (e, n)]
    full = []
    for part in along:
        at = np.searchsorted(ri, np.arange(rows), side="right").clip(1, max(ri.size - 1, 1)) - 1
        if ri.size == 1:
            full.append(np.repeat(part, rows, axis=0))
            continue
        t = ((np.arange(rows) - ri[at]) / (ri[at + 1] - ri[at]))[:, None]
        full.append(part[at] * (1 - t) + part[at + 1] * t)
    return full[0], full[1]
