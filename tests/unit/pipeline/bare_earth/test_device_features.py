"""Features computed by torch are those computed by numpy."""

import numpy as np

from orograph.pipeline.bare_earth.device_features import features_on
from orograph.pipeline.bare_earth.network import SurfaceSpec, features

RNG = np.random.default_rng(2)


def test_both_ways_agree_to_rounding():
    spec = SurfaceSpec(windows_px=(3, 7, 15), cover=True)
    heights = RNG.normal(300, 8, (40, 33)).astype(np.float32)
    shares = RNG.random((2, 40, 33)).astype(np.float32)
    shares[:, 3, 4] = np.nan
    for known in (None, shares):
        expected = features(heights, 2.0, spec, known)
        found = features_on("cpu", heights, 2.0, spec, known).numpy()
        np.testing.assert_allclose(found, expected, atol=2e-5)
        np.testing.assert_array_equal(found[:3] == 0.0, expected[:3] == 0.0, err_msg="openings touch the same pixels")
