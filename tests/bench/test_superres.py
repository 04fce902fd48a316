"""Speed of the bundled networks on one core: megapixels of output per core-second, next to the bare convolutions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from orograph.pipeline.superres import resolver
from tests.bench.results import record
from tests.bench.superres_speed import speed
from tests.support.capped import CAN_CAP, run_capped
from tests.support.superres_fixtures import hills

pytestmark = pytest.mark.bench


def show(found):
    print(
        f"\n{found['precision']}, {found['instruction_set']}: {found['mpx']:.2f} Mpx per core-second with error band, "
        f"{found['over_convolutions']:.2f} times the convolutions of the pixels asked for; "
        f"x8 {found['ensemble_mpx']:.2f} Mpx per core-second"
    )


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_speed_on_one_core(precision):
    found = speed(precision)
    show(found)
    record(
        "super-resolution",
        f"speed-{precision}",
        claim=f"network S, {precision}, with error band",
        ours=f"{found['mpx']:.2f} Mpx per core-second",
        peer=f"{found['over_convolutions']:.2f} times the bare convolutions",
        data=f"{found['instruction_set']}, {found['precision']}",
    )
    assert found["over_convolutions"] < 2


@pytest.mark.skipif(not CAN_CAP, reason="instruction sets are capped on x86-64 only")
def test_speed_without_avx512():
    found = json.loads(run_capped("-m", "tests.bench.superres_speed", "fp32", timeout_s=3000.0).splitlines()[-1])
    show(found)
    assert "512" not in found["instruction_set"]
    record(
        "processors",
        "avx2",
        claim="network S without AVX-512",
        ours=f"{found['mpx']:.2f} Mpx per core-second",
        peer=f"{found['over_convolutions']:.2f} times the bare convolutions",
        data="fp32, capped to AVX2",
    )
    assert found["over_convolutions"] < 2


def test_tilings_do_not_differ():
    up = resolver("superres-s")
    heights = hills(300, 310)
    whole, _ = up(heights)
    halo = up.halo_px
    part, _ = up(np.ascontiguousarray(heights[100 - halo : 200 + halo, 60 - halo :]), origin_px=(100 - halo, 60 - halo))
    inner = part[3 * halo : 3 * (halo + 100), 3 * halo :]
    difference = float(np.abs(inner - whole[300:600, 180:]).max())
    print(f"\nlargest difference between tilings: {difference}")
    assert difference == 0.0
