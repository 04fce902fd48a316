"""Settings that name nothing are rejected before any tile is planned."""

from __future__ import annotations

import pytest

from orograph.pipeline.errors import ConfigError, OrographError
from orograph.pipeline.planning.check_settings import check_settings
from orograph.pipeline.settings import ProcessingSettings


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"superres": "nonsense"}, "nonsense"),
        ({"superres": "bare-earth-2m"}, "bare-earth-2m"),
        ({"superres": "keys6", "superres_ensemble": True}, "keys6"),
        ({"bare_earth": "nonsense"}, "nonsense"),
        ({"bare_earth": "opening", "bare_earth_precision": "tf32"}, "opening"),
        ({"bare_earth": "superres-s"}, "superres-s"),
        ({"coregistration": "nonsense"}, "nonsense"),
        ({"coregistration": "nuth-kaab+nonsense"}, "nonsense"),
        ({"target_frame": "EPSG:9999"}, "9999"),
        ({"stages": ("regrid", "nonsense")}, "nonsense"),
    ],
)
def test_a_name_that_does_not_exist_is_rejected(settings: dict[str, object], named: str) -> None:
    with pytest.raises(OrographError, match=named) as raised:
        check_settings(ProcessingSettings.model_validate(settings))
    assert raised.value.remedy


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"superres": "none"},
        {"superres": "superres-s", "superres_ensemble": True},
        {"superres": "best-linear"},
        {"bare_earth": "auto", "bare_earth_precision": "bf16"},
        {"bare_earth": "opening"},
        {"bare_earth": "bare-earth-30m"},
        {"coregistration": "none"},
        {"coregistration": "blockwise(nuth-kaab+deramp(1), block=1000)"},
        {"target_frame": "EPSG:3855"},
    ],
)
def test_names_that_exist_pass(settings: dict[str, object]) -> None:
    check_settings(ProcessingSettings.model_validate(settings))


def test_the_remedy_lists_the_bundled_models() -> None:
    with pytest.raises(ConfigError) as raised:
        check_settings(ProcessingSettings(bare_earth="nonsense"))
    assert "bare-earth-2m" in str(raised.value.remedy)
