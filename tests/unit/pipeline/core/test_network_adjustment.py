"""Corrections of a network adjustment: values at places, and the file they come from."""

import numpy as np
import pytest
from pydantic import ValidationError

from orograph.pipeline.core.network_adjustment import Adjustment, AdjustmentFile
from orograph.pipeline.errors import ConfigError

PLANE = Adjustment(
    constant_m=0.2,
    east_m_per_km=0.01,
    north_m_per_km=-0.02,
    centre_east_m=4.3e6,
    centre_north_m=2.7e6,
    sigma_m=0.05,
)


def test_a_plane_is_the_constant_at_its_centre_and_slopes_per_kilometre():
    east, north = np.array([4.3e6, 4.31e6, 4.3e6]), np.array([2.7e6, 2.7e6, 2.705e6])
    np.testing.assert_allclose(PLANE.at(east, north), [0.2, 0.3, 0.1], atol=1e-12)


def test_a_constant_is_the_same_everywhere():
    constant = Adjustment(constant_m=-0.4, sigma_m=0.0)
    assert constant.at(1.0, 9e6) == pytest.approx(-0.4)
    assert constant.at(np.zeros((0,)), np.zeros((0,))).shape == (0,)


def test_a_negative_sigma_is_rejected():
    with pytest.raises(ValidationError, match="sigma_m"):
        Adjustment(constant_m=0.0, sigma_m=-0.1)


def test_a_file_is_read_as_it_was_written(tmp_path):
    document = AdjustmentFile(target_frame="EPSG:5621", model="plane", sources={"a": PLANE})
    path = tmp_path / "adjust.json"
    path.write_text(document.model_dump_json())
    assert AdjustmentFile.read(path) == document


@pytest.mark.parametrize(
    "text",
    [None, "", "{}", '{"target_frame": "EPSG:5621", "model": "cubic", "sources": {}}', '{"target_frame": "x", "y": 1}'],
)
def test_a_file_that_cannot_be_used_is_a_config_error(tmp_path, text):
    path = tmp_path / "adjust.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"adjust\.json"):
        AdjustmentFile.read(path)
