"""Super-resolution in whole tiles: what was asked for reaches the network, and the tile tells what was used."""

from __future__ import annotations

import numpy as np
import rasterio
import torch

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.sensor import bundled_sensor
from tests.support.made import source, write_source
from tests.support.tile_runs import TILE, run


def test_what_a_network_is_asked_for_reaches_the_tile(tmp_path):
    box = (4_210_000.0, 3_010_000.0, 4_219_000.0, 3_019_000.0)
    path = write_source(tmp_path / "coarse.tif", "EPSG:3035", box, 150)
    coarse = source(path, id="coarse", resolution_m=150.0)
    made = {}
    for name, options in {
        "alone": {},
        "together": {"superres_ensemble": True},
        "gated": {"superres_gate": True},
        "on a GPU": {"device": "cuda"},
    }.items():
        (tmp_path / name).mkdir()
        settings = ProcessingSettings(pixel_size_m=50.0, fill_max_m=0.0, superres="superres-s", **options)
        plan, outcomes, code = run(tmp_path / name, coarse, settings=settings)
        if name == "on a GPU" and not torch.cuda.is_available():
            assert code != 0
            assert isinstance(outcomes[0].error, ConfigError)
            assert "no device 'cuda'" in str(outcomes[0].error)
            assert TILE in str(outcomes[0].error)
            continue
        assert code == 0, outcomes[0].error
        store = tmp_path / name / "store"
        manifest = Manifest.from_json((store / plan.jobs[0].manifest_key).read_bytes())
        with rasterio.open(store / manifest.asset("elevation").key) as dataset:
            made[name] = plan.jobs[0].run_key, manifest, dataset.read(1)
    assert len({key for key, _, _ in made.values()}) == len(made)
    assert made["alone"][1].models["superres_sha256"].count("+") == 0
    assert made["together"][1].models["superres_sha256"].split("+")[0] == made["alone"][1].models["superres_sha256"]
    assert made["together"][1].models["superres_sha256"].count("+") == 1
    for name in ("together", "gated"):
        assert 0.0 < np.abs(made[name][2] - made["alone"][2]).max() < 20.0


def test_a_sources_noise_reaches_the_network_and_nothing_else(tmp_path):
    box = (4_210_000.0, 3_010_000.0, 4_219_000.0, 3_019_000.0)
    path = write_source(tmp_path / "coarse.tif", "EPSG:3035", box, 150)
    made = {}
    for superres in ("superres-xs", "keys6"):
        settings = ProcessingSettings(pixel_size_m=50.0, fill_max_m=0.0, superres=superres)
        for noise_m in (0.0, 3.0):
            folder = tmp_path / f"{superres}-{noise_m}"
            folder.mkdir()
            noisy = source(path, id="coarse", resolution_m=150.0, noise_m=noise_m)
            plan, outcomes, code = run(folder, noisy, settings=settings)
            assert code == 0, outcomes[0].error
            manifest = Manifest.from_json((folder / "store" / plan.jobs[0].manifest_key).read_bytes())
            with rasterio.open(folder / "store" / manifest.asset("elevation").key) as dataset:
                made[superres, noise_m] = plan.jobs[0].run_key, dataset.read(1)
    assert len({key for key, _ in made.values()}) == 4
    assert np.abs(made["superres-xs", 0.0][1] - made["superres-xs", 3.0][1]).max() > 0.01
    np.testing.assert_array_equal(made["keys6", 0.0][1], made["keys6", 3.0][1])


def test_a_tile_tells_what_raised_it_not_what_was_asked_for(tmp_path):
    sources = [
        source(
            # The coarser one reaches farther east: where the finer one hides it, it raises nothing.
            write_source(
                tmp_path / f"{metres}.tif",
                "EPSG:3035",
                (4_210_000.0, 3_010_000.0, 4_220_000.0 + 60 * metres, 3_025_000.0),
                metres,
            ),
            id=f"every{metres}",
            resolution_m=float(metres),
            priority=-metres,
        )
        for metres in (100, 150)
    ]
    settings = ProcessingSettings(pixel_size_m=50.0, fill_max_m=0.0, superres="superres-xs", coregistration="none")
    told = {}
    for name, chosen in (("100", sources[:1]), ("150", sources[1:]), ("both", sources)):
        (tmp_path / name).mkdir()
        plan, outcomes, code = run(tmp_path / name, *chosen, settings=settings)
        assert code == 0, outcomes[0].error
        path = tmp_path / name / "store" / plan.jobs[0].manifest_key
        told[name] = Manifest.from_json(path.read_bytes()).models
    assert told["100"] == {"superres": "keys6"}, "the network knows x3 only"
    assert told["150"]["superres"] == "superres-xs"
    assert told["both"] == {"superres": "keys6+superres-xs", "superres_sha256": told["150"]["superres_sha256"]}


def test_a_source_with_a_sensor_model_is_filtered_for_it_and_others_are_not(tmp_path):
    box = (4_210_000.0, 3_010_000.0, 4_214_200.0, 3_014_200.0)
    path = write_source(tmp_path / "coarse.tif", "EPSG:3035", box, 30)
    made = {}
    for name, described, pixel_size_m in (
        ("samples", {}, 10.0),
        ("radar", {"sensor": bundled_sensor("srtm")}, 10.0),
        ("denoised", {"sensor": bundled_sensor("srtm")}, 25.0),
        ("as it is", {}, 25.0),
    ):
        folder = tmp_path / name
        folder.mkdir()
        settings = ProcessingSettings(pixel_size_m=pixel_size_m, fill_max_m=0.0, superres="sensor")
        plan, outcomes, code = run(folder, source(path, id="coarse", resolution_m=30.0, **described), settings=settings)
        assert code == 0, outcomes[0].error
        manifest = Manifest.from_json((folder / "store" / plan.jobs[0].manifest_key).read_bytes())
        with rasterio.open(folder / "store" / manifest.asset("elevation").key) as dataset:
            made[name] = manifest.models.get("superres"), dataset.read(1)
    assert {name: model for name, (model, _) in made.items()} == {
        "samples": "sensor", "radar": "sensor", "denoised": "sensor", "as it is": None,
    }  # fmt: skip
    for one, other in (("samples", "radar"), ("as it is", "denoised")):
        difference = np.abs(made[one][1] - made[other][1])
        assert 0.05 < difference[difference < 1e3].max() < 60.0
