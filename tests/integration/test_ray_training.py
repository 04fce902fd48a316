"""Two processes that train one network by Ray Train do what one process does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ray.train import WorkerGroupError
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback
from safetensors.torch import load_file

from orograph.infra.cluster.training import SharedRun, _ours, train_together
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.data_parallel import DataParallel
from orograph.pipeline.learning.superres.dataset import GridLevel, Mix, Sampler, SiteList, SiteSpec, load_site
from orograph.pipeline.learning.superres.distillation import digest_of
from orograph.pipeline.learning.superres.train import Trainer
from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.sources.catalogue import Thinning
from tests.support.superres_fixtures import hills
from tests.support.tiffs import write_heights

pytestmark = pytest.mark.timeout(900)

LEVELS = (GridLevel(weight=2), GridLevel(rows=2, columns=2, thinning=Thinning.AVERAGED), GridLevel(rows=1, columns=2))


def plan(**changes):
    settled = {
        "preset": "XS", "steps": 6, "batch": 4, "patch_px": 16, "margin_px": 3, "warmup": 2,
        "mix": Mix(averaged=0.5, noisy=0.3),
    }  # fmt: skip
    return TrainingPlan(**(settled | changes))


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a crowded machine two processes may take longer to import torch than Ray Train waits."""
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "240")


@pytest.fixture
def sites(tmp_path):
    write_heights(tmp_path / "made.tif", hills(240, 240))
    spec = SiteSpec(name="made", file="made.tif", licence="CC0", attribution="made", levels=LEVELS)
    return SiteList(sites=(spec,))


def alone(sites, folder, data, until=None, teachers=(), **changes):
    trainer = Trainer(plan(**changes), [load_site(site, data) for site in sites.sites], folder, teachers=teachers)
    trainer.resume()
    trainer.run(every=3, until=until)
    return trainer


@pytest.mark.slow
def test_two_processes_make_the_steps_of_one_with_twice_the_batch(sites, tmp_path, ray_cluster):
    teacher = alone(sites, tmp_path / "teacher", tmp_path, until=1, seed=5).checkpoint
    taught = {"taught": 0.5, "teacher": digest_of([teacher])}
    run = SharedRun(
        plan(**taught), sites, None, tmp_path, tmp_path / "two", workers=2, every=3, until=1, teachers=(teacher,)
    )
    told = []
    train_together(run, ray_cluster, report=lambda rows: told.append([row["step"] for row in rows]))
    assert told == [[1.0]], "the process that asked hears of every checkpoint"
    alone(sites, tmp_path / "one", tmp_path, until=1, teachers=[teacher], **taught)
    one, two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys(), "either goes on from the other's"
    # After the first step the optimisers' means are the gradients themselves, shortened.
    gradients = [key for key in one if ".mean." in key or ".exp_avg." in key]
    assert len(gradients) >= 10
    for key in gradients:
        torch.testing.assert_close(two[key], one[key], rtol=2e-4, atol=1e-6 * float(one[key].abs().max() + 1e-9))

    # One process goes on from what two left, to where one process alone comes.
    alone(sites, tmp_path / "one", tmp_path, teachers=[teacher], **taught)
    assert alone(sites, tmp_path / "two", tmp_path, teachers=[teacher], **taught).step == 6
    one, two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two"))
    for key in one:
        if key.startswith("average."):
            torch.testing.assert_close(two[key], one[key], rtol=5e-3, atol=1e-4)
    curves = (tmp_path / "two" / "curves.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in curves[1:]] == ["1.0", "3.0", "6.0"]


def test_what_ended_a_worker_is_told_by_our_own_error():
    ours = ConfigError("another plan", remedy="choose another folder")
    assert _ours(WorkerGroupError("failed", {1: UserExceptionWithTraceback(ours, "where")})) is ours
    assert _ours(WorkerGroupError("failed", {0: ValueError("a surprise")})) is None


def test_batches_are_dealt_evenly_or_not_at_all(sites, tmp_path):
    with pytest.raises(ConfigError, match="multiple"):
        SharedRun(plan(batch=3), sites, None, tmp_path, tmp_path / "run", workers=2)
    sampler = Sampler([load_site(site, tmp_path) for site in sites.sites], 3, 16, 4, Mix(noisy=1.0), seed=1)
    whole = sampler.draw(0)
    parts = [DataParallel(rank, 2).share(whole) for rank in range(2)]
    np.testing.assert_array_equal(np.concatenate([part.fine for part in parts]), whole.fine)
    np.testing.assert_array_equal(np.concatenate([part.noise_m for part in parts]), whole.noise_m)
    with pytest.raises(ConfigError, match="4 patches a step for 3 workers"):
        DataParallel(0, 3).share(whole)
