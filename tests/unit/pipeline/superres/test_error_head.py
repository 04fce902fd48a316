"""The error head: positive scales that grow with the relief, and calibrated widths."""

import math

import numpy as np
import pytest
import torch

from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.error_head import SCALE_FLOOR_M, ErrorHead, ErrorModel, laplace_loss
from orograph.pipeline.superres.network import MODES, Condition

MULTIPLES = torch.tensor([[[1.0, 2.0], [1.5, 4.5]], [[3.0, 3.0], [1.0, 1.0]]])


def test_twice_the_features_are_twice_the_error():
    head = ErrorHead(2, 3)
    features = torch.randn(1, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    condition = Condition(Thinning.DECIMATED)
    once = head(features, condition) - SCALE_FLOOR_M
    assert once.shape == (1, 4, 5, 6)
    assert (once > 0).all()
    torch.testing.assert_close(head(-2 * features, condition) - SCALE_FLOOR_M, 2 * once)


def test_the_loss_is_least_where_the_scale_is_the_mean_error():
    error = torch.tensor([1.0, -3.0])
    weight = torch.ones(2)
    losses = [laplace_loss(error, torch.full((2,), scale), weight) for scale in (1.0, 2.0, 4.0)]
    assert losses[1] < min(losses[0], losses[2])
    assert float(losses[1]) == pytest.approx(math.log(4.0) + 1.0)
    assert float(laplace_loss(error, torch.ones(2), torch.zeros(2))) == 0.0


def test_widths_are_multiples_by_mode_and_ensemble():
    model = ErrorModel(torch.zeros(2, 4, 3, 3, 3), MULTIPLES)
    scale = np.full((2, 2), 0.999, np.float32)
    for index, mode in enumerate(MODES):
        for ensemble in (False, True):
            narrow, wide = MULTIPLES[index, int(ensemble)].tolist()
            np.testing.assert_allclose(model.half_width(scale, mode, ensemble), narrow, rtol=1e-5)
            assert model.wide_ratio(mode, ensemble) == pytest.approx(wide / narrow)


def test_weights_without_a_head_have_no_model():
    assert ErrorModel.from_tensors({}) is None
    found = ErrorModel.from_tensors({"error.weight": torch.zeros(1), "error.multiples": MULTIPLES})
    assert found is not None
    assert found.multiples is MULTIPLES
