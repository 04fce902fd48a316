"""The demo on real terrain, on files of the catalogue's kind: lidar of Bilbao as a terrain model and as a surface model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import yaml
from affine import Affine
from PIL import Image

from orograph.infra.runs.real_demo import Real
from orograph.pipeline.errors import ConfigError, OutsideCoverage
from tests.conftest import skip_or_fail

SURFACE = Path(__file__).resolve().parents[2].parent / "shared/data/surface"
AREA = "-3.005,43.300,-2.968,43.326"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Terrain west of a border, 5 m; the surface with houses and trees everywhere, 30 m."""
    if not SURFACE.is_dir():
        skip_or_fail("real data", f"{SURFACE} is missing")
    folder = tmp_path_factory.mktemp("bilbao")
    with rasterio.open(SURFACE / "bilbao_dem.tif") as dem:
        terrain, profile = dem.read(1), dem.profile
        west_half = {**profile, "width": dem.width // 2}
        with rasterio.open(folder / "terrain.tif", "w", **west_half) as out:
            out.write(terrain[:, : dem.width // 2], 1)
    heights = [rasterio.open(SURFACE / f"bilbao_{name}.tif").read(1) for name in ("bdsm", "cdsm")]
    above = np.maximum(*heights)[:1356, :1356].reshape(113, 12, 113, 12).mean(axis=(1, 3))
    ground = terrain[:678, :678].reshape(113, 6, 113, 6).mean(axis=(1, 3))
    cell = profile["transform"]
    coarse = {**profile, "width": 113, "height": 113, "transform": cell * Affine.scale(6.0)}
    with rasterio.open(folder / "surface.tif", "w", **coarse) as out:
        out.write((above + ground).astype(np.float32), 1)
    named = {
        "licence": "CC-BY-4.0",
        "attribution": "PNOA LiDAR CC-BY 4.0 scne.es",
        "providers": [{"name": "Instituto Geográfico Nacional"}],
        "horizontal_crs": "EPSG:25830",
        "vertical_frame": "EPSG:5782",
        "thinning": "averaged",
        "area_deg": [-3.1, 43.2, -2.9, 43.4],
    }
    sources = [
        {"id": "terrain", "title": "Terrain", "surface": "DTM", "resolution_m": 5.0, "accuracy_m": 0.5, "priority": 2,
         "data": {"kind": "files", "hrefs": [str(folder / "terrain.tif")]}, **named},
        {"id": "surface", "title": "Surface", "surface": "DSM", "resolution_m": 30.0, "accuracy_m": 2.0,
         "data": {"kind": "files", "hrefs": [str(folder / "surface.tif")]}, **named},
    ]  # fmt: skip
    path = folder / "catalogue.yaml"
    path.write_text(yaml.safe_dump({"sources": sources}), encoding="utf-8")
    return path


def test_sources_are_cut_to_the_area_and_the_tile_is_drawn(catalogue: Path, tmp_path: Path) -> None:
    """The mechanism with the exact interpolant; the networks are rehearsed below."""
    small = "-2.995,43.308,-2.988,43.313"
    demo = Real(
        tmp_path, small, ("terrain", "surface"), catalogue, superres="keys6", bare_earth="none", pixel_size_m=50.0
    )
    code, facts = demo.run(lambda _: None)
    assert code == 0
    assert all(share > 0 for share in facts["shares"].values())
    cut = tmp_path / "sources/terrain/terrain_cut.tif"
    with rasterio.open(cut) as part, rasterio.open(catalogue.parent / "terrain.tif") as whole:
        assert part.width < whole.width
        window = rasterio.windows.from_bounds(*part.bounds, whole.transform)
        assert np.array_equal(part.read(1), whole.read(1, window=window))
    assert Image.open(facts["picture"]).width > 1000


@pytest.mark.rehearsal
@pytest.mark.timeout(900)
def test_terrain_and_surface_meet_with_bare_earth_and_super_resolution(catalogue: Path, tmp_path: Path) -> None:
    said: list[str] = []
    demo = Real(tmp_path, AREA, ("terrain", "surface"), catalogue, superres="superres-s")
    code, facts = demo.run(said.append)
    assert code == 0
    assert facts["models"]["bare_earth"].startswith("bare-earth")
    assert facts["models"]["superres"].startswith("superres-s")
    assert set(facts["attributions"]) == {"PNOA LiDAR CC-BY 4.0 scne.es"}
    assert all(share > 0 for share in facts["shares"].values())
    assert Image.open(facts["picture"]).width > 1000
    assert (tmp_path / "store/stac/catalog.json").is_file()
    # East of the terrain model, bare earth took canopy and houses off the surface model.
    with rasterio.open(SURFACE / "bilbao_dem.tif") as dem:
        truth, box = dem.read(1), dem.bounds
    points = [(box.left + 2400 + 30 * i, box.bottom + 400 + 60 * j) for i in range(25) for j in range(40)]
    rows, cols = rasterio.transform.rowcol(dem.transform, *zip(*points, strict=True))
    found = _heights(tmp_path, facts["tiles"], points)
    with rasterio.open(catalogue.parent / "surface.tif") as dataset:
        before = np.array([value[0] for value in dataset.sample(points)])
    shift = np.nanmedian(found - truth[rows, cols])
    built = before - truth[rows, cols] > 4
    assert built.sum() > 50
    left = np.nanmedian((found - truth[rows, cols] - shift)[built]) / np.median((before - truth[rows, cols])[built])
    assert left < 0.8


def _heights(folder: Path, tiles: list[str], points: list[tuple[float, float]]) -> np.ndarray:
    from pyproj import Transformer

    east, north = Transformer.from_crs(25830, 3035, always_xy=True).transform(*zip(*points, strict=True))
    found = np.full(len(points), np.nan)
    for tile in tiles:
        path = next((folder / "store/tiles" / tile).rglob("*_elevation.tif"))
        with rasterio.open(path) as dataset:
            values = np.array(
                [v[0] for v in dataset.sample(list(zip(east, north, strict=True)), masked=True)], dtype=object
            )
        known = np.array([value is not np.ma.masked for value in values])
        found[known] = values[known].astype(float)
    return found


def test_a_real_demo_needs_a_surface_model_and_heights_in_the_area(catalogue: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="with a DSM"):
        Real(tmp_path, area=AREA, source_ids=("terrain",), catalogue=catalogue).run(print)
    with pytest.raises(OutsideCoverage, match="no heights"):
        Real(tmp_path, area="5,50,5.1,50.1", source_ids=("terrain", "surface"), catalogue=catalogue).run(print)
