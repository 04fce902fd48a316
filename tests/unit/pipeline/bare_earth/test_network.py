"""The bare-earth network sees differences of heights only."""

import numpy as np
import pytest

from orograph.pipeline.bare_earth.network import SurfaceSpec, features
from orograph.pipeline.errors import ConfigError

SPEC = SurfaceSpec(windows_px=(3, 7), cover=True)
HEIGHTS = np.random.default_rng(1).normal(200, 5, (24, 32)).astype(np.float32)


def test_a_constant_on_top_changes_nothing():
    plain, raised = (features(heights, 2.0, SPEC) for heights in (HEIGHTS, HEIGHTS + np.float32(512.0)))
    assert plain.shape == (SPEC.channels, 24, 32)
    np.testing.assert_allclose(raised, plain, atol=1e-3)


def test_cover_is_zero_where_it_is_unknown():
    shares = np.full((2, 24, 32), 0.5, np.float32)
    shares[:, 0, 0] = np.nan
    with_map, without = features(HEIGHTS, 2.0, SPEC, shares), features(HEIGHTS, 2.0, SPEC)
    assert with_map[-3:, 0, 0].tolist() == [0.0, 0.0, 0.0]
    assert with_map[-3:, 5, 5].tolist() == [0.5, 0.5, 1.0]
    assert not without[-3:].any()


def test_a_spec_comes_back_and_wrong_ones_are_rejected():
    assert SurfaceSpec.from_dict(SPEC.to_dict()) == SPEC
    assert SPEC.halo_px % 8 == 0
    for wrong in ({"windows_px": (4,)}, {"windows_px": ()}, {"pixel_size_m": (3.0, 1.0)}):
        with pytest.raises(ConfigError):
            SurfaceSpec(**wrong)
