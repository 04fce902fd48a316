"""The loss is relative to the interpolant's, and pixels outside the margin or void do not count."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from orograph.pipeline.learning.superres.data_parallel import DataParallel
from orograph.pipeline.learning.superres.dataset import Batch
from orograph.pipeline.learning.superres.loss import Loss, pair_loss
from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.network import Condition
from tests.support.superres_fixtures import hills, made_net

PLAN = TrainingPlan(preset="XS", batch=1, patch_px=24, margin_px=8)
CONDITION = Condition(Thinning.DECIMATED)


@pytest.fixture(scope="module")
def world():
    net = made_net()
    coarse = hills(24, 24)[None, None]
    with torch.no_grad():
        base = F.pixel_shuffle(net.base(torch.from_numpy(coarse), CONDITION), 3).numpy()
    fine = base + np.random.default_rng(1).normal(size=base.shape).astype(np.float32)
    return net, Batch(coarse, fine, np.ones(fine.shape, bool), None, CONDITION)


def test_the_figure_is_the_squared_error_relative_to_the_base(world):
    net, batch = world
    with torch.no_grad():
        loss, relative = pair_loss(net, batch, PLAN, True)
        answer = net(torch.from_numpy(batch.coarse), CONDITION).numpy()
        base = F.pixel_shuffle(net.base(torch.from_numpy(batch.coarse), CONDITION), 3).numpy()
    inner = (slice(None), slice(None), slice(24, -24), slice(24, -24))
    expected = np.mean((answer - batch.fine)[inner] ** 2) / np.mean((base - batch.fine)[inner] ** 2)
    assert relative == pytest.approx(expected, rel=1e-3)
    assert float(loss) == pytest.approx(expected, rel=1e-3)


def test_margin_and_voids_do_not_count(world):
    net, batch = world
    spoiled = batch.fine.copy()
    spoiled[..., :24, :] = 1e3
    spoiled[..., 40, 40] = 1e3
    valid = batch.valid.copy()
    valid[..., 40, 40] = False
    with torch.no_grad():
        _, found = pair_loss(net, Batch(batch.coarse, spoiled, valid, None, CONDITION), PLAN, True)
        _, expected = pair_loss(net, Batch(batch.coarse, batch.fine, valid, None, CONDITION), PLAN, True)
    assert found == pytest.approx(expected, rel=1e-6)


def test_as_a_module_it_gives_gradients(world):
    net, batch = world
    loss, _ = Loss(net, PLAN, DataParallel())([batch], False)
    loss.backward()
    assert net.head.grad is not None
    net.zero_grad(set_to_none=True)
