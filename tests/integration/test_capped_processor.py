"""Networks on a processor without AVX-512: they run, and heights are those of other processors.

Commands and trainings run there in `make test-capped`.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from orograph.pipeline.core.bundled_weights import bundled_index
from orograph.pipeline.learning.superres.evaluate import tiles_of
from orograph.pipeline.learning.superres.metrics import counted
from orograph.pipeline.superres.resolvers import resolver
from tests.conftest import SHARED
from tests.support.capped import CAN_CAP, run_capped
from tests.support.capped_networks import coarse_heights, network_heights

pytestmark = pytest.mark.skipif(not CAN_CAP, reason="only x86 processors can be capped")

TOLERANCE_M = 0.001
TOLERANCE_POINTS = 0.05
DTM = SHARED / "data/dtm/tirol_kot_5m.tif"

ASK = """
import json, torch
from orograph.pipeline.core.precision import supported_precisions
from orograph.pipeline.core.processor import instruction_set
planes = torch.ones(1, 8, 8, 8, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
try:
    torch.ops.mkldnn._convolution_pointwise(
        planes, torch.ones(8, 8, 3, 3, dtype=torch.bfloat16), None, [0, 0], [1, 1], [1, 1], 1, "none", [], ""
    )
    fault = ""
except RuntimeError as error:
    fault = str(error)
print(json.dumps([instruction_set(), supported_precisions("cpu"), fault]))
"""


def test_the_cap_takes_effect():
    instructions, precisions, fault = json.loads(run_capped("-c", ASK))
    assert instructions == "AVX2"
    assert precisions == ["fp32"]
    assert "bf16 path needs the cpu support" in fault


@pytest.fixture(scope="module")
def capped(tmp_path_factory):
    """Heights of every network by precision and name, made on the capped processor."""
    path = tmp_path_factory.mktemp("capped") / "heights.npz"
    run_capped("-m", "tests.support.capped_networks", str(path), *([str(DTM)] if DTM.exists() else []))
    with np.load(path) as planes:
        return dict(planes)


def test_networks_give_the_same_heights_on_both_processors(capped):
    here = network_heights("fp32", coarse_heights(DTM if DTM.exists() else None))
    assert here.keys() >= {*bundled_index("superres"), "bare-earth-2m", "bare-earth-30m"}
    assert len(capped) == 2 * len(here)
    for name, heights in here.items():
        np.testing.assert_allclose(capped[f"fp32 {name}"], heights, rtol=0, atol=TOLERANCE_M, err_msg=name)
        # Half precision that the processor does not have is float32, not an error.
        np.testing.assert_array_equal(capped[f"bf16 {name}"], capped[f"fp32 {name}"], err_msg=name)


def test_networks_gain_the_same_on_both_processors(capped, shared):
    """In bf16 where this processor has it, which the capped one does not."""
    dtm = shared("data/dtm/tirol_kot_5m.tif")
    coarse, fine = coarse_heights(dtm), tiles_of(dtm, 3, 10.0)[0].fine_m
    cubic, _ = resolver("gdal-cubic")(coarse, factor=3)
    mask = counted(np.isfinite(fine) & np.isfinite(cubic))

    def gain_percent(heights):
        own, base = (np.square(made - fine)[mask].mean() ** 0.5 for made in (heights, cubic))
        return 100 * (1 - own / base)

    here = network_heights("bf16", coarse)
    for name in bundled_index("superres"):
        assert gain_percent(here[name]) > 5
        assert gain_percent(capped[f"bf16 {name}"]) == pytest.approx(gain_percent(here[name]), abs=TOLERANCE_POINTS)
