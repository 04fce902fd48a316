"""The plan's learning rate, record and rejected values."""

import pytest

from orograph.pipeline.errors import ConfigError
from orograph.pipeline.learning.superres.training_plan import TrainingPlan


def test_the_rate_warms_up_and_decays_to_a_hundredth():
    plan = TrainingPlan(steps=1000, warmup=10, rate=1.0, decay_from=0.5)
    assert plan.rate_at(0) == pytest.approx(0.1)
    assert plan.rate_at(10) == plan.rate_at(500) == pytest.approx(1.0)
    assert plan.rate_at(750) == pytest.approx(0.505)
    assert plan.rate_at(1000) == pytest.approx(0.01)


def test_the_record_contains_the_networks_shape():
    record = TrainingPlan(preset="XS").record()
    assert record["preset"] == "XS"
    assert record["network"]["channels"] > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"preset": "Z"},
        {"batch": 0},
        {"margin_px": 24},
        {"taught": 0.5},
        {"teacher": "ab"},
        {"unseen": 0.5},
        {"taught": 2.0, "teacher": "ab"},
    ],
)
def test_plans_that_cannot_be_trained_are_rejected(wrong):
    with pytest.raises(ConfigError):
        TrainingPlan(**wrong)
