"""What an order may change of a tile's settings, and what goes along with it."""

from __future__ import annotations

from typing import get_args

import pytest

from orograph.infra.service.dispatcher import with_overrides
from orograph.infra.service.orders import Overrides
from orograph.infra.service.settings import Overridable, ServiceSettings
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.settings import ProcessingSettings

MADE = ProcessingSettings(superres="superres-s", superres_ensemble=True, superres_gate=True)


def test_everything_that_may_be_changed_is_offered_and_nothing_else() -> None:
    assert set(Overrides.model_fields) == set(get_args(Overridable)) == set(ServiceSettings().allowed_overrides)
    assert set(Overrides.model_fields) <= set(ProcessingSettings.model_fields)


def test_pixel_and_frame_change_only_where_nobody_else_reaches_the_service() -> None:
    public = ServiceSettings(host="0.0.0.0", auth="run")
    assert set(Overrides.model_fields) - set(public.allowed_overrides) == {"pixel_size_m", "target_frame"}
    assert ServiceSettings(overrides=("superres",)).allowed_overrides == ("superres",)


def test_an_order_may_ask_for_ensemble_and_gate() -> None:
    asked = Overrides(superres_ensemble=False, superres_gate=True).model_dump(exclude_none=True)
    made = with_overrides(MADE, asked)
    assert (made.superres, made.superres_ensemble, made.superres_gate) == ("superres-s", False, True)


def test_an_interpolant_takes_no_network_options_along() -> None:
    made = with_overrides(MADE.model_copy(update={"superres_ensemble": True}), {"superres": "keys6"})
    assert made == ProcessingSettings(superres="keys6")


def test_a_device_stays_where_something_runs_on_it() -> None:
    on_gpu = MADE.model_copy(update={"device": "cuda"})
    assert with_overrides(on_gpu, {"superres": "keys6"}).device == "cuda", "coregistration runs there"
    still = on_gpu.model_copy(update={"coregistration": "none"})
    assert with_overrides(still, {"superres": "keys6"}).device == "cpu"
    lowered = MADE.model_copy(update={"bare_earth": "auto", "bare_earth_precision": "tf32"})
    assert with_overrides(lowered, {"bare_earth": "none"}).bare_earth_precision == "fp32"
    assert with_overrides(lowered, {"bare_earth": "bare-earth-30m"}).bare_earth_precision == "tf32"
    assert with_overrides(MADE, {"superres": "superres-s"}) == MADE
    assert with_overrides(MADE, {"fill_max_m": 5.0}) == MADE.model_copy(update={"fill_max_m": 5.0})


def test_a_value_no_setting_takes_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_shift_m"):
        with_overrides(MADE, {"max_shift_m": -1.0})
