"""Symmetric networks turn with the ground, whatever their weights, and stay so in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.dataset import GridLevel, Site, SiteSpec
from orograph.pipeline.learning.superres.distillation import turned
from orograph.pipeline.learning.superres.net2net import widened
from orograph.pipeline.learning.superres.train import Trainer
from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.inference import InferenceOptions, NetResolver
from orograph.pipeline.superres.network import MODES, PRESETS, Condition, Preset, TerrainNet
from orograph.pipeline.superres.symmetry import Symmetry, is_symmetric
from orograph.pipeline.superres.weights import Weights
from tests.support.superres_fixtures import hills


def drawn(preset="XS", factor=3, seed=0, symmetric=True):
    torch.manual_seed(seed)
    bases = torch.randn(2, factor * factor, 7, 7) * 0.1
    bases[..., 3, 3] += 1.0 - bases.sum(dim=(2, 3))
    net = TerrainNet(PRESETS[preset], factor, bases)
    with torch.no_grad():
        for block in net.blocks():
            block.aspect_gain.normal_(std=0.2)
            block.mode_gain.normal_(1.0, 0.1)
    if symmetric:
        Symmetry(net).begin(net)
    return net.requires_grad_(False)


@settings(deadline=None, max_examples=15)
@given(
    turns=st.integers(0, 3), mirrored=st.booleans(), mode=st.sampled_from(MODES), factor=st.sampled_from([2, 3, 5]),
    log_aspect=st.floats(-0.7, 0.7), noise_m=st.sampled_from([None, 0.5]), seed=st.integers(0, 99),
)  # fmt: skip
def test_turned_heights_give_the_turned_answer(turns, mirrored, mode, factor, log_aspect, noise_m, seed):
    net = drawn(factor=factor, seed=seed)
    heights = torch.from_numpy(hills(24, 20, seed))[None, None]
    noise = None if noise_m is None else torch.tensor([noise_m])
    consistent = noise is None
    plain = net(heights, Condition(mode, log_aspect, consistent), noise)
    # A right angle exchanges tall and wide pixels.
    other = Condition(mode, -log_aspect if turns % 2 else log_aspect, consistent)
    answer = net(turned(heights, turns, mirrored), other, noise)
    torch.testing.assert_close(answer, turned(plain, turns, mirrored), rtol=1e-5, atol=2e-3)


def test_projecting_twice_is_projecting_once_and_free_networks_are_told_apart():
    net = drawn(symmetric=False)
    assert not is_symmetric(net)
    symmetry = Symmetry(net)
    for name, parameter in net.named_parameters():
        once = symmetry.mean(name, parameter)
        torch.testing.assert_close(symmetry.mean(name, once), once)
    symmetry.hold(net)
    assert is_symmetric(net)
    # To the last bit, so that kernels stay tied when they are rounded to half precision.
    for name, parameter in net.named_parameters():
        assert torch.equal(symmetry.mean(name, parameter), parameter.detach()), name
    odd = TerrainNet(Preset(12, (1,)), 3, torch.zeros(2, 9, 7, 7))
    assert not is_symmetric(odd)


def test_what_a_network_begins_with_is_as_large_as_it_was_drawn():
    free, tied = drawn("S", symmetric=False), drawn("S")
    for mine, theirs in zip(tied.blocks(), free.blocks(), strict=True):
        assert float(mine.first.std() / theirs.first.std()) == pytest.approx(1.0, abs=0.1)
    assert float(tied.tail.std() / free.tail.std()) == pytest.approx(1.0, abs=0.1)


def test_one_pass_is_the_mean_over_eight():
    net = drawn()
    plan = TrainingPlan(preset="XS").record()
    tensors = {k: v.clone() for k, v in net.state_dict().items()}
    tensors["error.weight"] = Symmetry(net).mean("error", torch.randn(2, 9, 32, 3, 3) - 5.0)
    tensors["error.multiples"] = torch.ones(2, 2, 2)
    heights = hills(60, 50)
    made = []
    for kept in (tensors, tensors | {"tail": tensors["tail"] * (1.0 + 1e-3 * torch.randn(tensors["tail"].shape))}):
        up = NetResolver("made", Weights("made", "", kept, plan, {}), InferenceOptions(ensemble=True, precision="fp32"))
        made.append(up(heights, factor=3, thinning=Thinning.DECIMATED))
    # The second is no longer symmetric, so it is run eight times.
    np.testing.assert_allclose(made[0][0], made[1][0], atol=0.05)
    np.testing.assert_allclose(made[0][1], made[1][1], rtol=1e-3)
    alone = NetResolver("made", Weights("made", "", tensors, plan, {}), InferenceOptions(precision="fp32"))
    np.testing.assert_array_equal(made[0][0], alone(heights, factor=3, thinning=Thinning.DECIMATED)[0])


def made_site():
    heights = hills(160, 160, 1)
    levels = (GridLevel(weight=2), GridLevel(rows=1, columns=2))
    spec = SiteSpec(name="made", file="made.tif", licence="CC0", attribution="made", levels=levels)
    return Site(spec, (heights,), (np.ones(heights.shape, bool),))


def test_training_keeps_a_network_symmetric_and_moves_it(tmp_path, monkeypatch):
    from orograph.pipeline.learning.superres import train

    fit = train.fit_bases
    monkeypatch.setattr(train, "fit_bases", lambda sampler: fit(sampler, draws=6))
    plan = TrainingPlan(preset="XS", steps=7, batch=2, patch_px=16, margin_px=3, warmup=2)
    trainer = Trainer(plan, [made_site()], tmp_path / "tied")
    before = trainer.net.tail.detach().clone()
    trainer.run()
    assert not torch.equal(before, trainer.net.tail)
    assert is_symmetric(trainer.net)
    assert is_symmetric(trainer.average)
    free = Trainer(
        TrainingPlan(preset="XS", steps=3, batch=2, patch_px=16, margin_px=3, symmetric=False),
        [made_site()],
        tmp_path / "free",
    )
    free.run()
    assert not is_symmetric(free.average)
    free.save()
    with pytest.raises(ConfigError, match="rotation-equivariant"):
        trainer.start_from(free.checkpoint)


def test_a_symmetric_network_grows_into_a_symmetric_one(tmp_path):
    large = widened(drawn("S"), PRESETS["M"])
    Symmetry(large).hold(large)
    assert is_symmetric(large)
    heights = torch.from_numpy(hills(30, 30))[None, None]
    torch.testing.assert_close(large(heights, Condition()), drawn("S")(heights, Condition()), rtol=1e-5, atol=1e-3)


def test_shipped_weights_may_be_trained_on_and_teach():
    from orograph.pipeline.core.bundled_weights import BUNDLED, bundled_index
    from orograph.pipeline.learning.superres.trained_weights import trained

    symmetric = {
        name: is_symmetric(trained((BUNDLED / entry["file"],), 3)) for name, entry in bundled_index("superres").items()
    }
    # Rounded to half precision, the kernels of symmetric bodies are still tied.
    assert symmetric == {name: name in {"superres-s", "superres-s-fold"} for name in symmetric}
