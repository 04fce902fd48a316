"""On a device that is not the processor: nothing is left behind, nothing is forgotten there, memory that runs out is given back.

Run by `test_second_device.py` on the twin of the processor. Where there is a GPU: `OROGRAPH_DEVICE=cuda pytest` and this file.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.bare_earth.device_features import features_on
from orograph.pipeline.bare_earth.model import load_bare_earth
from orograph.pipeline.bare_earth.network import features
from orograph.pipeline.bare_earth.remove import bare_earth
from orograph.pipeline.core.precision import supported_precisions
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import fit
from orograph.pipeline.errors import OutOfMemory
from orograph.pipeline.learning.superres.calibrate import fit_error_and_gate
from orograph.pipeline.learning.superres.distillation import digest_of
from orograph.pipeline.learning.superres.train import Trainer
from orograph.pipeline.learning.superres.validate import TrainingValidation
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.inference import BLOCK_PX
from tests.support import twin_device
from tests.support.made import source, write_source
from tests.support.superres_fixtures import hills, made_weights
from tests.support.tiffs import write_heights
from tests.support.tile_runs import run
from tests.support.training_sites import plan, site
from tests.unit.pipeline.coregistration.test_torch_kernels import pair
from tests.unit.pipeline.learning.superres.conftest import quick_bases  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("quick_bases")

DEVICE = os.environ.get("OROGRAPH_DEVICE", twin_device.NAME)


@pytest.fixture(scope="module", autouse=True)
def device():
    """The library of the twin, or None on an accelerator."""
    return twin_device.start() if DEVICE == twin_device.NAME else None


@pytest.fixture
def twin(device):
    if device is None:
        pytest.skip("only the twin counts its memory")
    return device


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    made_weights(path, gate=(0.8, 0.7))
    return path


def test_the_device_refuses_what_an_accelerator_refuses():
    there = torch.ones(3, device=DEVICE)
    with pytest.raises(RuntimeError, match="same device"):
        there + torch.ones(3)
    with pytest.raises(RuntimeError, match="same device"):
        torch.nn.functional.conv2d(torch.ones(1, 1, 4, 4, device=DEVICE), torch.ones(1, 1, 3, 3))
    with pytest.raises(TypeError, match="convert"):
        there.numpy()


@pytest.mark.parametrize("symmetric", [True, False])
def test_training_there_gives_what_training_here_gives(tmp_path, symmetric):
    validation = TrainingValidation([site(seed=9, side=200)], 3)
    found = []
    for device in ("cpu", DEVICE):
        trainer = Trainer(plan(symmetric=symmetric), [site()], tmp_path / device, device)
        trainer.run(validation, every=3)
        extra = fit_error_and_gate(trainer.average, trainer.sampler, validation, steps=4, seed=1)
        path = tmp_path / device / "weights.safetensors"
        trainer.export(path, {"sites": []}, extra)
        found.append(load_file(path))
        again = Trainer(plan(symmetric=symmetric), [site()], tmp_path / device, device)
        assert again.resume()
        assert again.net.head.device.type == device
    here, there = found
    assert here.keys() == there.keys()
    for name, tensor in here.items():
        torch.testing.assert_close(there[name].float(), tensor.float(), rtol=1e-3, atol=1e-4, msg=name)


def test_teachers_and_beginnings_come_along(tmp_path):
    first = Trainer(plan(), [site()], tmp_path / "first")
    first.run(every=6)
    taught = plan(taught=0.5, unseen=0.5, teacher=digest_of([first.checkpoint]), steps=8)
    student = Trainer(taught, [site()], tmp_path / "student", DEVICE, teachers=[first.checkpoint])
    student.start_from(first.checkpoint)
    student.run(every=4)
    assert student.step == 8
    assert student.teacher is not None
    assert student.teacher.networks[0].head.device.type == DEVICE


@pytest.mark.parametrize("options", [{}, {"ensemble": True, "gate": True}, {"noise_m": 1.0}, {"batch": 3}])
def test_heights_and_errors_are_those_of_the_processor(weights, options):
    coarse = hills(40, BLOCK_PX + 30)
    coarse[10:14, 20:33] = np.nan
    here = resolver(str(weights), precision="fp32", **options)(coarse)
    there = resolver(str(weights), precision="fp32", device=DEVICE, **options)(coarse)
    for mine, other in zip(there, here, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_other_precisions_are_used_where_the_device_has_them(weights, precision):
    coarse = hills(40, 50)
    exact, _ = resolver(str(weights), device=DEVICE)(coarse)
    up = resolver(str(weights), precision=precision, device=DEVICE)
    fine, _ = up(coarse)
    assert up.precision == (precision if precision in supported_precisions(DEVICE) else "fp32")
    if up.precision == "fp32":
        np.testing.assert_array_equal(fine, exact)
    np.testing.assert_allclose(fine, exact, rtol=0, atol=1.0)
    np.testing.assert_allclose(fine[1::3, 1::3], coarse, atol=1e-3)
    surface = hills(120, 120) / 20
    surface[40:52, 40:52] += 9.0
    lowered = bare_earth(surface, 2.0, "bare-earth-2m", device=DEVICE, precision=precision)
    assert lowered.mask[43:49, 43:49].mean() > 0.8


def test_memory_that_runs_out_is_free_again_when_half_the_batch_is_tried(twin, weights):
    coarse = hills(20, 8 * BLOCK_PX)
    alone = resolver(str(weights), device=DEVICE)
    expected = alone(coarse)
    twin.twin_peak()
    before = twin.twin_used()
    alone(coarse[:, :BLOCK_PX])
    one = twin.twin_peak() - before
    up = resolver(str(weights), device=DEVICE, batch=8)
    with twin_device.limited(twin, 3 * one):
        found = up(coarse)
    assert up._batch == 2, "eight blocks do not fit, nor four; two do, once the failed tries are forgotten"
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(mine, other)
    with twin_device.limited(twin, one // 3), pytest.raises(OutOfMemory, match="twin has no memory for one block"):
        resolver(str(weights), device=DEVICE, batch=4)(coarse)


def test_a_step_that_does_not_fit_is_a_clear_end(twin, tmp_path):
    trainer = Trainer(plan(), [site()], tmp_path, DEVICE)
    with (
        twin_device.limited(twin, 100_000),
        pytest.raises(OutOfMemory, match="twin has no memory for a step of 2") as end,
    ):
        trainer.run()
    assert "--batch" in end.value.remedy


def test_coregistration_there_is_coregistration_here():
    reference, moving, mask = pair("holed")
    here, there = (fit(reference, moving, mask, "blockwise(nuth-kaab)", device=device) for device in ("cpu", DEVICE))
    assert here.status is there.status
    for mine, other in zip(there.displacement(reference.geobox), here.displacement(reference.geobox), strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["bare-earth-2m", "bare-earth-30m"])
@pytest.mark.parametrize("mapped", [False, True])
def test_inputs_of_bare_earth_there_are_those_here(name, mapped):
    spec = load_bare_earth(name).spec
    surface = hills(160, 144)
    shares = np.random.default_rng(3).random((2, 160, 144), dtype=np.float32)
    shares[:, 20:30, 40:60] = np.nan
    cover = shares if mapped and spec.cover else None
    size_m = spec.pixel_size_m[0]
    there = features_on(DEVICE, surface, size_m, spec, cover).cpu().numpy()
    np.testing.assert_allclose(there, features(surface, size_m, spec, cover), rtol=0, atol=2e-5)


def test_bare_earth_there_is_bare_earth_here():
    surface = hills(300, 260)
    surface[100:120, 80:110] += 9.0
    surface[10:14, 20:33] = np.nan
    here, there = (bare_earth(surface, 2.0, "bare-earth-2m", device=device) for device in ("cpu", DEVICE))
    assert here.mask[105:115, 90:100].mean() > 0.5
    assert (here.mask != there.mask).mean() < 1e-4
    same = here.mask == there.mask
    np.testing.assert_allclose(there.heights_m[same], here.heights_m[same], rtol=0, atol=2e-3)
    np.testing.assert_allclose(there.sigma_m[same], here.sigma_m[same], rtol=0, atol=2e-3)


def test_bare_earth_without_memory_is_a_clear_end(twin):
    with twin_device.limited(twin, 2_000_000), pytest.raises(OutOfMemory, match="twin has no memory for one block of"):
        bare_earth(hills(300, 260), 2.0, "bare-earth-2m", device=DEVICE)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_a_tile_there_is_a_tile_here(tmp_path):
    """Super-resolution, bare earth and coregistration of one tile; the twin is no value of the setting, so it is put in."""
    west, south, north = 4_210_000.0, 3_010_000.0, 3_012_400.0
    best = write_source(tmp_path / "best.tif", "EPSG:3035", (west, south, west + 1_200.0, north), 25)
    top = write_source(tmp_path / "dsm.tif", "EPSG:3035", (west, south, west + 2_400.0, north), 25, shift_m=(9.0, -6.0))
    coarse = write_source(tmp_path / "coarse.tif", "EPSG:3035", (west, south, west + 4_800.0, north), 75)
    sources = (
        source(best, id="best", resolution_m=25.0, accuracy_m=0.5),
        source(top, id="dsm", resolution_m=25.0, accuracy_m=4.0, surface=Surface.DSM),
        source(coarse, id="coarse", resolution_m=75.0, accuracy_m=9.0),
    )
    plain = ProcessingSettings(pixel_size_m=25.0, fill_max_m=0.0, superres="superres-xs", bare_earth="bare-earth-30m")
    made = []
    for device in ("cpu", DEVICE):
        (tmp_path / device).mkdir()
        plan, outcomes, code = run(tmp_path / device, *sources, settings=plain.model_copy(update={"device": device}))
        assert code == 0, outcomes[0].error
        manifest = Manifest.from_json((tmp_path / device / "store" / plan.jobs[0].manifest_key).read_bytes())
        with rasterio.open(tmp_path / device / "store" / manifest.asset("elevation").key) as dataset:
            made.append((plan.jobs[0].run_key, manifest, dataset.read(1, masked=True).filled(np.nan)))
    (key, mine, here), (other_key, theirs, there) = made
    assert key != other_key
    for manifest in (mine, theirs):
        assert manifest.coregistration[1].details["applied"]
        assert manifest.models["superres"] == "superres-xs"
        assert manifest.models["bare_earth"] == "bare-earth-30m"
    assert DEVICE not in mine.numerics["device"]
    assert theirs.numerics["device"] != mine.numerics["device"]
    difference = there - here
    assert np.isfinite(difference).sum() > 15_000
    assert np.sqrt(np.nanmean(difference**2)) < 1e-3


def test_the_commands_take_a_device(tmp_path):
    dtm = write_heights(tmp_path / "own.tif", hills(300, 300))
    told = f"--preset XS --steps 2 --batch 2 --error-steps 2 --every 1 --precision fp32 --device {DEVICE}"
    trained = CliRunner().invoke(app, ["train", str(tmp_path / "run"), "--dtm", str(dtm), *told.split()])
    assert trained.exit_code == 0, trained.output
    model = str(tmp_path / "run" / "weights.safetensors")
    raised = CliRunner().invoke(
        app, ["superres", str(dtm), str(tmp_path / "fine.tif"), "--model", model, "--device", DEVICE, "--json"]
    )
    assert raised.exit_code == 0, raised.output
