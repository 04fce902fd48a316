"""Bare earth: the filter, the network's plumbing, simulation, sites, and the shipped weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.model import SurfaceModel, bare_earth_names, load_bare_earth
from orograph.pipeline.bare_earth.network import features
from orograph.pipeline.bare_earth.remove import bare_earth
from orograph.pipeline.errors import ConfigError, HeightsNotFinite, NoOverlap, NoTrainingPixels
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite, load_sites
from orograph.pipeline.learning.bare_earth.train import SurfaceTraining, train_surface
from tests.support.made_town import TINY, town


def town_pair() -> tuple[np.ndarray, np.ndarray]:
    ground, above = town()
    return ground, ground + above


def tiny_model(name: str = "tiny") -> SurfaceModel:
    ground, above = town()
    training = SurfaceTraining(steps=3, batch=1, crop_px=64)
    return train_surface(
        [SurfaceSite("town", 2.0, ground, ground + above)], TINY, training, bins=Bins(0, 40, 12), name=name
    )


def test_features_forget_constants() -> None:
    ground, above = town()
    a = features((ground + above).astype(np.float32), 2.0, TINY)
    b = features((ground + above + 1024).astype(np.float32), 2.0, TINY)
    assert a.shape == (TINY.channels, 96, 96)
    assert np.abs(a - b).max() < 1e-3
    assert np.isfinite(a).all()


def test_model_survives_its_file_and_refuses_other_pixels(tmp_path: Path) -> None:
    model = tiny_model()
    path = tmp_path / "m.safetensors"
    model.save(path)
    read = SurfaceModel.load(path)
    further = train_surface(
        [SurfaceSite("t", 2.0, *town_pair())],
        TINY,
        SurfaceTraining(1, 1, 64, open_weight=3.0),
        bins=read.bins,
        start=read,
    )
    assert further.spec == TINY
    with pytest.raises(ConfigError, match="other inputs"):
        train_surface([SurfaceSite("t", 2.0, *town_pair())], TINY, SurfaceTraining(1, 1, 64), bins=Bins(), start=read)
    assert (read.name, read.spec, read.bins) == ("tiny", TINY, model.bins)
    assert len(read.sha256) == 64
    ground, above = town()
    surface = (ground + above).astype(np.float32)
    said = read.above_ground(surface, 2.0)
    assert said.height_m.shape == surface.shape
    assert ((said.covered >= 0) & (said.covered <= 1)).all()
    for size in (1.0, 10.0, 30.0):
        with pytest.raises(ConfigError, match=r"works at 1\.5 to 3 m"):
            read.above_ground(surface, size)
    with pytest.raises(HeightsNotFinite):
        read.above_ground(np.where(surface > 210, np.nan, surface), 2.0)
    result = bare_earth(surface, 2.0, str(path), probability=0.3)
    assert result.heights_m.shape == surface.shape


@pytest.mark.parametrize("name", ["tiny", "bare-earth-2m"])
def test_blocks_give_the_same_answer_as_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model() if name == "tiny" else load_bare_earth(name)
    ground, above = town(160, 128)
    surface = (ground + above).astype(np.float32)
    whole = model.above_ground(surface, 2.0)
    monkeypatch.setattr("orograph.pipeline.bare_earth.model._BLOCK_PX", 64)
    blocks = model.above_ground(surface, 2.0)
    # Convolutions of fewer channels than a vector has lanes add in another order at other widths, on some processors.
    tolerance = 1e-5 if name == "tiny" else 0.0
    for plane in ("height_m", "spread_m", "covered"):
        np.testing.assert_allclose(getattr(blocks, plane), getattr(whole, plane), rtol=0, atol=tolerance)


def test_windows_of_a_surface_agree_when_their_place_is_known() -> None:
    model = tiny_model()
    ground, above = town(400, 380)
    surface = (ground + above).astype(np.float32)
    halo = model.spec.halo_px
    whole = model.above_ground(surface, 2.0)
    row, col = 3, 5
    part = surface[row : row + 2 * halo + 50, col : col + 2 * halo + 60]
    window = model.above_ground(part, 2.0, origin_px=(row, col))
    inner = (slice(row + halo, row + halo + 50), slice(col + halo, col + halo + 60))
    assert np.abs(whole.height_m[inner] - window.height_m[halo:-halo, halo:-halo]).max() < 1e-5


def test_sites_are_read_at_one_pixel_size(tmp_path: Path) -> None:
    ground, above = town()

    def write(name: str, values: np.ndarray, size: float, west: float = 500_000.0) -> None:
        profile = {
            "driver": "GTiff",
            "dtype": "float32",
            "count": 1,
            "height": values.shape[0],
            "width": values.shape[1],
        }
        transform = Affine(size, 0, west, 0, -size, 5_000_000)
        with rasterio.open(tmp_path / name, "w", crs="EPSG:32633", transform=transform, **profile) as dataset:
            dataset.write(values.astype(np.float32), 1)

    write("dsm.tif", ground + above, 1.0)
    write("dtm.tif", ground[::2, ::2], 2.0)
    write("ndsm.tif", above, 1.0)
    write("far.tif", above, 1.0, west=900_000.0)
    listed = tmp_path / "sites.yaml"
    listed.write_text(
        "sites:\n- {name: a, surface: dsm.tif, ground: dtm.tif, part: north}\n"
        "- {name: b, above: [ndsm.tif], ground: dtm.tif, weight: 2}\n- {name: c, ground: dtm.tif}\n"
    )
    a, b, c = load_sites(listed, 2.0)
    assert (a.ground_m.shape, b.ground_m.shape, c.measured) == ((24, 48), (48, 48), False)
    assert b.weight == 2
    rng = np.random.default_rng(0)
    for site in (a, b, c):
        surface, height, _ = site.draw(32, rng)
        assert surface.shape == height.shape == (32, 32)
        assert np.nanmin(height) >= 0
    listed.write_text("sites:\n- {name: d, surface: dsm.tif, ground: far.tif}\n")
    with pytest.raises(NoOverlap):
        load_sites(listed, 2.0)
    listed.write_text("places: 3")
    with pytest.raises(ConfigError):
        load_sites(listed, 2.0)
    with pytest.raises(NoTrainingPixels):
        SurfaceSite("v", 2.0, np.full((4, 4), np.nan, np.float32))


def test_command_line_takes_houses_off(tmp_path: Path) -> None:
    ground, above = town()
    path = tmp_path / "dsm.tif"
    profile = {"driver": "GTiff", "dtype": "float32", "count": 1, "height": 96, "width": 96, "crs": "EPSG:32633"}
    with rasterio.open(path, "w", transform=Affine(2, 0, 500_000, 0, -2, 5_000_000), **profile) as dataset:
        dataset.write((ground + above).astype(np.float32), 1)
    out = tmp_path / "dtm.tif"
    result = CliRunner().invoke(app, ["ordinal", "bare-earth", str(path), "-o", str(out), "--model", "opening"])
    assert result.exit_code == 0, result.output
    with rasterio.open(out) as dataset:
        assert dataset.count == 3
        assert dataset.descriptions[2] == "mask"
        assert (dataset.read(1) <= ground + above + 1e-3).all()


@pytest.mark.parametrize("name", bare_earth_names())
def test_shipped_weights_are_small_and_described(name: str) -> None:
    model = load_bare_earth(name)
    folder = Path(__file__).parents[4] / "pipeline/weights"
    weights = folder / f"{name}.safetensors"
    assert weights.stat().st_size <= 4_000_000
    card = (folder / f"{name}.md").read_text()
    assert model.sha256 in card
    low, high = model.spec.pixel_size_m
    with pytest.raises(ConfigError, match="works at"):
        model.check_pixel_size(high * 1.5)
    with pytest.raises(ConfigError, match="works at"):
        model.check_pixel_size(low / 1.5)


@pytest.mark.skipif("bare-earth-2m" not in bare_earth_names(), reason="the 2 m weights are not in this checkout")
@pytest.mark.parametrize("site", ["athens", "goteborg"])
def test_shipped_two_metre_weights_halve_the_error_in_unseen_towns(site: str, shared, tmp_path: Path) -> None:
    listed = tmp_path / "sites.yaml"
    surface, ground = shared(f"data/surface/{site}_dsm_1m.tif"), shared(f"data/surface/{site}_dem_1m.tif")
    listed.write_text(f"sites:\n- {{name: {site}, surface: {surface}, ground: {ground}}}\n")
    (place,) = load_sites(listed, 2.0)
    result = bare_earth(place.surface_m, 2.0, "bare-earth-2m")
    # A hill that the edge of the raster cuts in two looks like a building: judge 40 m inside.
    inner = (slice(20, -20), slice(20, -20))
    above = (place.surface_m - place.ground_m)[inner]
    covered, opened = above > 2, above < 0.5
    error = np.abs(result.heights_m - place.ground_m)[inner]
    assert error[covered].mean() < 0.55 * above[covered].mean()
    assert error[opened].mean() < np.abs(above)[opened].mean() + 0.05


@pytest.mark.skipif("bare-earth-2m" not in bare_earth_names(), reason="the 2 m weights are not in this checkout")
@pytest.mark.parametrize("turned", [False, True], ids=["narrow", "flat"])
def test_oblong_pixels_are_lowered_as_well_as_square_ones(turned: bool, shared) -> None:
    with (
        rasterio.open(shared("data/surface/athens_dsm_1m.tif")) as surface,
        rasterio.open(shared("data/surface/athens_dem_1m.tif")) as ground,
    ):
        planes = [dataset.read(1)[:400, :400].astype(np.float32) for dataset in (surface, ground)]
    dsm_m, dtm_m = (plane.T if turned else plane for plane in planes)
    dsm_m, dtm_m = (plane.reshape(200, 2, -1).mean(axis=1) for plane in (dsm_m, dtm_m))
    size_m = (1.0, 2.0)
    if turned:
        dsm_m, dtm_m, size_m = dsm_m.T, dtm_m.T, (2.0, 1.0)
    result = bare_earth(np.ascontiguousarray(dsm_m), size_m, "bare-earth-2m")
    inner = tuple(slice(round(40 / size), -round(40 / size)) for size in size_m[::-1])
    above, error = (dsm_m - dtm_m)[inner], np.abs(result.heights_m - dtm_m)[inner]
    assert error[above > 2].mean() < 0.2 * above[above > 2].mean()
    assert error[above < 0.5].mean() < np.abs(above[above < 0.5]).mean() + 0.05
    untouched = ~result.mask
    assert np.array_equal(result.heights_m[untouched], np.ascontiguousarray(dsm_m)[untouched])
    assert (result.sigma_m[result.mask] > 0).all()
