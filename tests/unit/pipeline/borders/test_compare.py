"""Borders: two surveys of one made terrain, in the real frames of two nations."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import yaml
from PIL import Image
from pyproj import Transformer
from rasterio.transform import from_origin
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.infra.cli.borders import _routes
from orograph.infra.cli.options import processing_settings
from orograph.pipeline.borders import (
    AdjustmentFile,
    RouteCheck,
    adjust_network,
    check_routes,
    compare_sources,
    source_weights,
)
from orograph.pipeline.borders.solve import Observation
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.errors import ConfigError, DatumDisagreement, OutsideCoverage, SourceMissing
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.catalogue import SourceCatalogue
from orograph.pipeline.vertical import Adjustment, Operation, VerticalCatalogue, delta_surface

CENTRE = (6.2, 51.3)  # the Maas valley, Dutch and German
VERTICAL = VerticalCatalogue.load()


def terrain(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """NAP heights: gentle hills and one cliff."""
    hills = 40 + 8 * np.sin(lon * 700) * np.cos(lat * 900)
    return hills + np.where(lon > CENTRE[0] + 0.02, 60.0, 0.0)


def survey(path: Path, crs: str, operation, *, pixel_m=20.0, size=220, noise_m=0.02, seed=0, bias_m=0.0) -> Path:
    east, north = Transformer.from_crs("EPSG:4258", crs, always_xy=True).transform(*CENTRE)
    west, top = round(east) - size / 2 * pixel_m, round(north) + size / 2 * pixel_m
    x, y = np.meshgrid(west + pixel_m * (np.arange(size) + 0.5), top - pixel_m * (np.arange(size) + 0.5))
    lon, lat = Transformer.from_crs(crs, "EPSG:4258", always_xy=True).transform(x, y)
    heights = terrain(lon, lat) + operation.shift(lon, lat) + bias_m
    heights += np.random.default_rng(seed).normal(0, noise_m, heights.shape)
    profile = {"driver": "GTiff", "height": size, "width": size, "count": 1, "dtype": "float32", "nodata": -9999.0}
    with rasterio.open(path, "w", crs=crs, transform=from_origin(west, top, pixel_m, pixel_m), **profile) as file:
        file.write(heights.astype(np.float32), 1)
    return path


def entry(name: str, path: Path, crs: str, frame: str) -> dict:
    return {
        "id": name,
        "title": name,
        "providers": [{"name": "made"}],
        "licence": "CC0-1.0",
        "attribution": "made",
        "data": {"kind": "files", "hrefs": [str(path)]},
        "horizontal_crs": crs,
        "vertical_frame": frame,
        "surface": "DTM",
        "resolution_m": 20.0,
        "thinning": "averaged",
        "accuracy_m": 0.05,
    }


@pytest.fixture(scope="module")
def world(shared, tmp_path_factory):
    """A catalogue of a Dutch and a German survey of one ground, and the folder of grids."""
    folder, grids = tmp_path_factory.mktemp("border"), shared("proj-grids")
    same = VERTICAL.operation("EPSG:5709", "EPSG:5709", grids_dir=grids)
    german = VERTICAL.operation("EPSG:5709", "EPSG:7837", grids_dir=grids)
    dutch_file = survey(folder / "nl.tif", "EPSG:28992", same)
    german_file = survey(folder / "de.tif", "EPSG:25832", german, seed=1)
    document = {
        "sources": [
            entry("nl", dutch_file, "EPSG:28992", "EPSG:5709"),
            entry("de", german_file, "EPSG:25832", "EPSG:7837"),
        ]
    }
    path = folder / "sources.yaml"
    path.write_text(yaml.safe_dump(document))
    return path, grids


def test_the_pivot_leaves_no_bias_where_constants_leave_centimetres(world):
    path, grids = world
    sources = SourceCatalogue.load(path).sources
    border = compare_sources(sources, "EPSG:5709", grids).borders[0]
    assert border.statistics.count > 5000
    assert abs(border.statistics.median_m) < 0.002
    assert border.before.median_m < -0.015
    assert border.statistics.nmad_m < 0.06
    assert border.statistics.largest_m < 5.0, "the cliff was left out"


def test_in_evrf2007_the_bias_is_what_the_two_routes_differ_by(world):
    path, grids = world
    border = compare_sources(SourceCatalogue.load(path).sources, "EPSG:5621", grids).borders[0]
    assert border.routes.verdict == "agree"
    assert border.statistics.median_m == pytest.approx(-border.routes.difference_m, abs=0.003)


def test_the_report_and_its_adjustment_close_the_rest(world, tmp_path):
    path, grids = world
    words = ["borders", "--sources", str(path), "--out", str(tmp_path / "r"), "--grids-dir", str(grids)]
    result = CliRunner().invoke(app, [*words, "--adjust", "constant", "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document == json.loads((tmp_path / "r/borders.json").read_text())
    assert document["borders"][0]["sample_of_20"]["count"] == 20
    page = (tmp_path / "r/index.html").read_text()
    assert "nl / de" in page
    assert "data:image/png;base64," in page
    with Image.open(tmp_path / "r/border-nl-de.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 5

    kept = AdjustmentFile.read(tmp_path / "r/adjustment.json")
    left = document["borders"][0]["all_flat_ground"]["median_m"]
    left += kept.sources["nl"].constant_m - kept.sources["de"].constant_m
    assert abs(left) < 0.002
    assert abs(kept.sources["de"].constant_m) > abs(kept.sources["nl"].constant_m), "the less accurate gives way"


def test_an_adjustment_is_named_in_the_record(world):
    _, grids = world
    operation = VERTICAL.operation("EPSG:5709", "EPSG:5621", grids_dir=grids)
    box = Tile(4050, 3150).geobox(100.0)
    plane = Adjustment(constant_m=0.01, east_m_per_km=0.001, centre_east_m=4_075_000.0, sigma_m=0.005)
    surface = delta_surface(operation, box)
    adjusted = surface.adjusted(plane)
    record = adjusted.record("nl")
    assert record.steps == ("derived:nap-evrf2007", "network-adjustment")
    assert record.derived
    assert "0.001" in record.notes[-1]
    difference = adjusted.sample(box) - surface.sample(box)
    assert np.nanmax(difference) <= 0.035 + 1e-4
    assert difference[0, 0] == pytest.approx(0.01 - 0.02495, abs=1e-5)


def test_sources_that_do_not_meet_are_told(world, tmp_path):
    path, grids = world
    sources = SourceCatalogue.load(path).sources
    with pytest.raises(OutsideCoverage):
        compare_sources(sources, "EPSG:5621", grids, area_m=(0.0, 0.0, 1000.0, 1000.0))
    with pytest.raises(OutsideCoverage):
        compare_sources(sources[:1], "EPSG:5621", grids)
    lost = sources[0].model_copy(update={"data": sources[0].data.model_copy(update={"hrefs": ("/none.tif",)})})
    with pytest.raises(SourceMissing):
        compare_sources([lost, sources[1]], "EPSG:5621", grids)


class TestRoutes:
    LON, LAT = np.array([6.0, 6.5, 7.0]), np.array([51.0, 51.9, 52.5])

    def test_dutch_and_german_levelling_agree_with_their_geoids(self, shared):
        check = check_routes(("EPSG:5709", "EPSG:7837"), self.LON, self.LAT, shared("proj-grids"))
        assert check.verdict == "agree"
        assert 0 < check.datum_uncertainty_m < 0.05

    def test_polands_old_heights_as_if_new_would_fail(self):
        with pytest.raises(DatumDisagreement, match="cm at most"):
            RouteCheck("fail", 0.17, 0.01, 0.18).insist("pl / de")

    def test_equal_frames_have_nothing_to_check(self, tmp_path):
        assert check_routes(("EPSG:5709", "EPSG:5709"), self.LON, self.LAT, tmp_path).verdict == "agree"

    def test_without_grids_it_is_impossible_and_says_why(self, tmp_path):
        check = check_routes(("EPSG:5709", "EPSG:7837"), self.LON, self.LAT, tmp_path)
        assert check.verdict == "impossible"
        assert "nlgeo2018" in check.reason
        assert check.difference_m is None
        assert _routes({"verdict": check.verdict, "difference_m": None, "reason": "no grid"}) == "impossible: no grid"


class TestAdjustment:
    def test_constants_close_a_triangle(self):
        random = np.random.default_rng(2)
        truth = {"a": 0.0, "b": 0.04, "c": -0.03}
        observations = [
            Observation(a, b, truth[a] - truth[b] + random.normal(0, 0.003), 0.005, random.uniform(0, 1e5), 0.0)
            for a, b in (("a", "b"), ("b", "c"), ("a", "c"))
            for _ in range(30)
        ]
        result = adjust_network(observations, {"a": 0.001, "b": 0.1, "c": 0.1})
        assert result.rms_after_m < 0.005 < result.rms_before_m
        corrected = {name: truth[name] + result.adjustments[name].constant_m for name in truth}
        assert max(corrected.values()) - min(corrected.values()) < 0.003
        assert abs(result.adjustments["a"].constant_m) < 0.002, "the accurate one stands still"

    def test_surveys_are_not_moved_by_a_surface_model_with_canopy(self):
        random = np.random.default_rng(4)
        bias = {"a": 0.0, "b": -0.03, "dsm": 3.5}
        observations = [
            Observation(a, b, bias[a] - bias[b] + random.normal(0, 0.8 if b == "dsm" else 0.004), 0.05, 0.0, 5000.0 * k)
            for a, b, count in (("a", "b", 8), ("a", "dsm", 60), ("b", "dsm", 60))
            for k in range(count)
        ]
        identity = Operation("EPSG:5621", "EPSG:5621", "identity", ())
        sources = {"a": (Surface.DTM, 0.2), "b": (Surface.DTM, 0.3), "dsm": (Surface.DSM, 4.0)}
        weights = {
            name: source_weights(SimpleNamespace(surface=surface, accuracy_m=accuracy), identity)
            for name, (surface, accuracy) in sources.items()
        }
        assert weights == {"a": (0.0, 0.0), "b": (0.0, 0.0), "dsm": (4.0, 4.0)}
        priors = {"a": 0.02, "b": 0.02, "dsm": weights["dsm"][0]}
        local = {name: local_m for name, (_, local_m) in weights.items()}
        result = adjust_network(observations, priors, local_m=local)
        assert result.adjustments["dsm"].constant_m == pytest.approx(-3.5, abs=0.3)
        surveys = adjust_network([o for o in observations if "dsm" not in (o.a, o.b)], priors)
        for name in ("a", "b"):
            moved = result.adjustments[name].constant_m - surveys.adjustments[name].constant_m
            assert abs(moved) < 0.002, "the surface model moves no survey"
        unweighted = adjust_network(observations, {"a": 0.02, "b": 0.02, "dsm": 0.1})
        assert abs(unweighted.adjustments["a"].constant_m) > 0.05

    def test_planes_follow_a_tilt(self):
        places = [(east, north) for east in np.linspace(0, 2e5, 9) for north in (0.0, 5e4)]
        observations = [Observation("a", "b", 0.02 + 2e-7 * east, 0.005, east, north) for east, north in places]
        constant = adjust_network(observations, {"a": 0.1, "b": 0.1})
        plane = adjust_network(observations, {"a": 0.1, "b": 0.1}, model="plane")
        assert plane.rms_after_m < 0.2 * constant.rms_after_m
        east, north = 2e5, 0.0
        closed = 0.02 + 2e-7 * east + plane.adjustments["a"].at(east, north) - plane.adjustments["b"].at(east, north)
        assert abs(closed) < 0.004

    def test_nothing_to_adjust_is_refused(self):
        with pytest.raises(ConfigError):
            adjust_network([], {})
        with pytest.raises(ConfigError, match="accuracy"):
            adjust_network([Observation("a", "b", 0.0, 0.01, 0.0, 0.0)], {"a": 0.1})


def test_a_run_takes_the_adjustment_and_its_key_changes(tmp_path):
    path = tmp_path / "adjustment.json"
    share = Adjustment(constant_m=0.01, sigma_m=0.003)
    path.write_text(AdjustmentFile(target_frame="EPSG:5621", model="constant", sources={"nl": share}).model_dump_json())
    adjusted = processing_settings(None, None, [f"adjustments={path}"])
    assert adjusted.adjustments == (("nl", share),)
    keys = {Job(Tile(4000, 3100), (), settings).run_key for settings in (adjusted, ProcessingSettings())}
    assert len(keys) == 2
    with pytest.raises(ConfigError, match="target is EPSG:5730"):
        processing_settings(None, "EPSG:5730", [f"adjustments={path}"])
    with pytest.raises(ConfigError, match="cannot be used"):
        processing_settings(None, None, ["adjustments=none.json"])
