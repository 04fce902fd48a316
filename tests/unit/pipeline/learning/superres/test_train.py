"""Datasets, training and calibration on made ground, in seconds."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from orograph.infra.cli.app import app
from orograph.pipeline.errors import ConfigError, ModelError
from orograph.pipeline.learning.superres.calibrate import fit_error_and_gate
from orograph.pipeline.learning.superres.dataset import (
    Mix,
)
from orograph.pipeline.learning.superres.distillation import digest_of, turned, turned_back
from orograph.pipeline.learning.superres.muon import Muon, orthogonalised
from orograph.pipeline.learning.superres.net2net import widened
from orograph.pipeline.learning.superres.train import Trainer
from orograph.pipeline.learning.superres.validate import TrainingValidation
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.network import PRESETS, Condition
from orograph.pipeline.superres.weights import load_weights
from tests.support.superres_fixtures import hills, made_net
from tests.support.training_sites import plan, site, write

pytestmark = pytest.mark.usefixtures("quick_bases")


def test_training_resumes_to_the_same_bits(tmp_path):
    straight = Trainer(plan(), [site()], tmp_path / "straight")
    straight.run(every=3)
    first = Trainer(plan(), [site()], tmp_path / "halves")
    first.run(every=3, until=3)
    second = Trainer(plan(), [site()], tmp_path / "halves")
    assert second.resume()
    assert second.step == 3
    second.run(every=3)
    for a, b in zip(straight.average.parameters(), second.average.parameters(), strict=True):
        assert torch.equal(a, b)
    assert (tmp_path / "halves" / "curves.csv").read_text().count("\n") == 3
    third = Trainer(plan(seed=2), [site()], tmp_path / "halves")
    with pytest.raises(ConfigError, match="another plan"):
        third.resume()


def test_training_learns_and_exports_what_the_registry_reads(tmp_path):
    trainer = Trainer(plan(steps=60, batch=4, rate=2e-4, mix=Mix(noisy=0.0, wide=0.0)), [site()], tmp_path)
    validation = TrainingValidation([site(seed=9, side=100)], 3)
    before = validation(trainer.average)
    trainer.run(validation, every=60)
    after = trainer.rows[-1]
    assert after["gain_made_decimated"] > before["gain_made_decimated"]
    extra = fit_error_and_gate(trainer.average, trainer.sampler, validation, steps=20, seed=1)
    digest = trainer.export(tmp_path / "weights.safetensors", {"sites": ["made"]}, extra)
    weights = load_weights(f"{tmp_path / 'weights.safetensors'}#sha256={digest}")
    assert weights.about == {"sites": ["made"]}
    assert weights.tensors["error.multiples"].shape == (2, 2, 2)
    narrow, wide = weights.tensors["error.multiples"].unbind(dim=2)
    assert (wide > narrow).all()


def test_a_loss_that_is_not_finite_ends_the_run_and_spares_the_checkpoint(tmp_path):
    trainer = Trainer(plan(), [site()], tmp_path)
    trainer.run(every=2, until=2)
    kept = trainer.checkpoint.read_bytes()
    trainer.net.head.data[0, 0, 0, 0, 0] = torch.inf
    trainer.net.head.data[1, 0, 0, 0, 0] = torch.inf
    with pytest.raises(ModelError, match="at step 2"):
        trainer.run(every=2)
    assert trainer.checkpoint.read_bytes() == kept
    again = Trainer(plan(), [site()], tmp_path)
    assert again.resume()
    again.run(every=2)
    assert again.step == 6


def test_impossible_plans_are_refused():
    with pytest.raises(ConfigError, match="XXL"):
        plan(preset="XXL")
    with pytest.raises(ConfigError, match="margin"):
        plan(margin_px=8)


def test_the_command_trains_validates_and_writes_a_card(tmp_path):
    for name, seed in (("here", 1), ("there", 2)):
        write(tmp_path / f"{name}.tif", hills(200 if name == "here" else 100, 200 if name == "here" else 100, seed))
    dtms = [arg for name in ("here", "there") for arg in ("--dtm", str(tmp_path / f"{name}.tif"))]
    options = [
        "--hold-out",
        "there",
        "--preset",
        "XS",
        "--steps",
        "4",
        "--batch",
        "2",
        "--error-steps",
        "3",
        "--every",
        "2",
        "--precision",
        "fp32",
    ]
    result = CliRunner().invoke(app, ["train", str(tmp_path / "run"), *dtms, *options])
    assert result.exit_code == 0, result.output
    card = (tmp_path / "run" / "weights.md").read_text()
    assert "Held out for validation, calibration of the bands and of the gate: there." in card
    assert "x3 only" in card
    assert "| there, decimated: RMSE gain over GDAL cubic |" in card
    assert "Apache" not in card, "the licence of a person's own weights is theirs to choose"
    assert not re.search(r"\d %", card.split("## Limits")[1]), "no other network's figures"
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    assert "gain_there_decimated" in (tmp_path / "run" / "curves.csv").read_text()
    assert load_weights(str(tmp_path / "run" / "weights.safetensors")).about["held_out"] == ["there"]
    again = CliRunner().invoke(
        app, ["train", str(tmp_path / "base"), *dtms, "--preset", "srcnn", "--processor-s", "0.2"]
    )
    assert again.exit_code == 0, again.output


def test_steps_of_kernels_are_orthogonal():
    torch.manual_seed(0)
    matrices = torch.randn(3, 8, 40) @ torch.diag(torch.linspace(0.05, 3.0, 40))
    values = torch.linalg.svdvals(orthogonalised(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.3
    assert torch.equal(orthogonalised(matrices.mT), orthogonalised(matrices).mT)
    # Power-of-two scales leave a step as it is: twice the relief, the same step.
    assert torch.allclose(orthogonalised(matrices), orthogonalised(1024.0 * matrices), atol=1e-4)


def test_muon_finds_a_kernel():
    torch.manual_seed(0)
    truth = torch.randn(4, 4, 3, 3)
    kernel = torch.nn.Parameter(torch.zeros(4, 4, 3, 3))
    optimiser = Muon([kernel], lr=0.05)
    for step in range(300):
        optimiser.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
        x = torch.randn(2, 4, 12, 12)
        loss = (torch.nn.functional.conv2d(x, kernel) - torch.nn.functional.conv2d(x, truth)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (kernel.detach() - truth).abs().max() < 0.02


def test_a_trunk_keeps_its_rate_and_a_branch_starts_from_it(tmp_path):
    trunk = plan(steps=8, decay_from=1.0)
    assert trunk.rate_at(7) == trunk.rate
    assert plan(steps=8, decay_from=0.5).rate_at(3) == trunk.rate
    assert plan(steps=8, decay_from=0.5).rate_at(7) < trunk.rate
    first = Trainer(trunk, [site()], tmp_path / "trunk")
    first.run(until=3, every=3)
    branch = Trainer(plan(steps=4), [site()], tmp_path / "branch")
    branch.start_from(first.checkpoint)
    for mine, theirs in zip(branch.net.parameters(), first.average.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    branch.run(until=4, every=4)
    mean = Trainer(plan(steps=0), [site()], tmp_path / "mean")
    mean.start_from(first.checkpoint, branch.checkpoint)
    mean.run()
    halves = zip(mean.average.parameters(), first.average.parameters(), branch.average.parameters(), strict=True)
    assert all(torch.allclose(whole, (a + b) / 2.0, atol=1e-6) for whole, a, b in halves)
    xs = Trainer(plan(preset="S", steps=1), [site()], tmp_path / "s")
    xs.run()
    with pytest.raises(ConfigError, match="different presets"):
        mean.start_from(first.checkpoint, xs.checkpoint)


def test_a_network_grows_without_changing_its_answers(tmp_path):
    small = made_net("S")
    large = widened(small, PRESETS["M"])
    heights = torch.from_numpy(hills(40, 40)[None, None] - 1500.0)
    for mode in Thinning:
        with torch.no_grad():
            assert torch.allclose(large(heights, Condition(mode)), small(heights, Condition(mode)), atol=2e-3)
    with pytest.raises(ConfigError, match="cannot begin"):
        widened(small, PRESETS["XS"])
    save_file(small.state_dict(), tmp_path / "s.safetensors")
    trainer = Trainer(plan(preset="M", steps=2, symmetric=False), [site()], tmp_path / "m")
    trainer.start_from(tmp_path / "s.safetensors")
    trainer.run()
    # What was silent is heard after a step.
    assert trainer.net.tail.detach()[:, :, 48:].abs().max() > 0
    save_file({**small.state_dict(), "head": torch.zeros(2, 7, 2, 5, 5)}, tmp_path / "odd.safetensors")
    with pytest.raises(ConfigError, match="7 channels"):
        trainer.start_from(tmp_path / "odd.safetensors")


def test_a_student_learns_what_its_teachers_say_of_every_batch_however_turned(tmp_path):
    teacher = Trainer(plan(seed=2, symmetric=False), [site()], tmp_path / "teacher")
    teacher.save()
    path = teacher.checkpoint
    learning = plan(seed=3, steps=3, taught=0.75, teacher=digest_of([path]))
    student = Trainer(learning, [site()], tmp_path / "student", teachers=[path])
    ways, chosen = [(turns, mirrored) for turns in range(4) for mirrored in (False, True)], set()
    for step in range(12):
        batch = student.sampler.draw(step)
        fine = torch.from_numpy(batch.fine)
        noise_m = None if batch.noise_m is None else torch.from_numpy(batch.noise_m)
        aim = student.teacher.aim(batch, step)
        away = []
        for turns, mirrored in ways:
            with torch.no_grad():
                said = teacher.average(
                    turned(torch.from_numpy(batch.coarse), turns, mirrored), batch.condition, noise_m
                )
            away.append(float((aim - fine.lerp(turned_back(said, turns, mirrored), 0.75)).abs().max()))
        chosen.add(ways[int(np.argmin(away))])
        assert min(away) < 1e-4
        # Tall pixels stay tall.
        assert batch.condition.log_aspect == 0.0 or ways[int(np.argmin(away))][0] % 2 == 0
    assert len(chosen) > 3
    student.run(None, None, 100)
    with pytest.raises(ConfigError, match="teachers"):
        Trainer(learning, [site()], tmp_path / "other")
    with pytest.raises(ConfigError, match="share"):
        plan(taught=0.5)
    planes = torch.arange(24.0).reshape(1, 1, 4, 6)
    for turns in range(4):
        for mirrored in (False, True):
            assert torch.equal(turned_back(turned(planes, turns, mirrored), turns, mirrored), planes)


def test_where_there_is_no_truth_a_student_learns_the_teacher_alone(tmp_path):
    teacher = Trainer(plan(seed=2), [site()], tmp_path / "teacher")
    with torch.no_grad():
        for trained in (teacher.net, teacher.average):
            trained.tail.mul_(20.0)
    teacher.save()
    path = teacher.checkpoint
    learning = plan(seed=3, steps=40, rate=5e-3, taught=0.5, unseen=1.0, teacher=digest_of([path]))
    student = Trainer(learning, [site()], tmp_path / "student", teachers=[path])
    heights = torch.from_numpy(hills(40, 40, 7)[None, None] - 1500.0)

    def apart():
        with torch.no_grad():
            return float((student.net(heights, Condition()) - teacher.net(heights, Condition())).square().mean())

    before = apart()
    student.run(every=40)
    assert apart() < 0.5 * before
    assert np.isnan(student.rows[-1]["relative_mse_decimated"])
    with pytest.raises(ConfigError, match="truth"):
        plan(unseen=0.5)
