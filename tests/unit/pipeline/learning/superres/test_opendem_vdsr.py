"""The published network as a resolver, with made weights."""

import numpy as np
import pytest
import torch

from orograph.pipeline.errors import ConfigError, ModelError, SourceMissing
from orograph.pipeline.learning.superres.opendem_vdsr import OpenDemVdsr
from orograph.pipeline.superres.interpolants import Interpolant
from tests.support.superres_fixtures import hills

SHAPES = [(4, 1), *[(4, 4)] * 9, (1, 4)]
ZERO = [(torch.zeros(o, i, 9, 9), torch.zeros(o)) for o, i in SHAPES]


def test_layers_of_zeros_leave_cubic():
    heights = hills(12, 12)
    expected, _ = Interpolant("gdal-cubic")(heights, factor=3)
    for ensemble in (False, True):
        fine, sigma = OpenDemVdsr(ZERO, ensemble)(heights)
        np.testing.assert_allclose(fine, expected, atol=2e-3)
        assert sigma is None


def test_other_files_factors_and_layers_are_rejected(tmp_path):
    with pytest.raises(ModelError, match="10 convolutions"):
        OpenDemVdsr(ZERO[1:])
    with pytest.raises(ConfigError, match="not x2"):
        OpenDemVdsr(ZERO)(hills(12, 12), factor=2)
    with pytest.raises(SourceMissing):
        OpenDemVdsr.read(tmp_path / "none.h5")
