"""Derivatives of a network are its differences."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.implicit.fit import FitOptions, Kind, fit_model
from orograph.pipeline.implicit.network import NetworkShape
from tests.support.implicit_world import box, ground


def test_networks_derivatives_are_its_differences() -> None:
    model = fit_model(ground(40, 40), box(40, 40), FitOptions(Kind.MLP, 2000, steps=60))
    v, u, d = np.array([0.41]), np.array([0.57]), 1e-3
    jet = model.field.jet(v, u)
    assert jet.dv[0] == pytest.approx(
        (model.field.height(v + d, u) - model.field.height(v - d, u))[0] / (2 * d), rel=0.1
    )
    assert jet.du[0] == pytest.approx(
        (model.field.height(v, u + d) - model.field.height(v, u - d))[0] / (2 * d), rel=0.1
    )
    assert NetworkShape().parameters == 15_649
    assert NetworkShape.for_parameters(15_649).parameters == 15_649
