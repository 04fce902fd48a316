"""Interest grows with curvature."""

from __future__ import annotations

import numpy as np
import pytest

from orograph.pipeline.errors import (
    ConfigError,
)
from orograph.pipeline.implicit.interest import interest_of


def test_interest_grows_with_curvature() -> None:
    z = np.zeros((40, 40), dtype=np.float32)
    z[20:, :] = 30.0
    z[0, 0] = np.nan
    weight = interest_of(z, "curvature")
    assert weight[20, 20] > 5 * weight[5, 20]
    assert weight[0, 0] == 0
    assert interest_of(z, "slope")[20, 20] > 5 * interest_of(z, "slope")[5, 20]
    with pytest.raises(ConfigError):
        interest_of(z, "beauty")
