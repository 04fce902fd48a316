"""Speed of the shipped networks on one core: megapixels of output a processor-second, beside the bare convolutions."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from orograph.pipeline.core.processor import instruction_set
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.inference import BLOCK_PX
from orograph.pipeline.superres.network import Condition
from tests.support.superres_fixtures import hills

pytestmark = pytest.mark.bench


def seconds(run, least_s=3.0):
    run()
    start, times = time.process_time(), 0
    while time.process_time() - start < least_s:
        run()
        times += 1
    return (time.process_time() - start) / times


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_speed_on_one_core(precision):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        up = resolver("superres-s", precision=precision)
        heights = hills(2 * BLOCK_PX, 2 * BLOCK_PX)
        whole = seconds(lambda: up(heights))
        folded = up._folded[Condition()]
        side = BLOCK_PX
        x = torch.randn(1, up.preset.channels, side, side).to(folded.dtype, memory_format=torch.channels_last)

        def bare():
            with torch.inference_mode():
                for first, second, _ in folded.body:
                    F.conv2d(x, first, padding=1)
                    F.conv2d(x, second, padding=1)

        raw = 4 * seconds(bare)
        x8 = resolver("superres-s", precision=precision, ensemble=True)
        ensemble = seconds(lambda: x8(heights[:BLOCK_PX, :BLOCK_PX]))
    finally:
        torch.set_num_threads(threads)
    pixels = 9 * heights.size / 1e6
    print(
        f"\n{up.precision}, {instruction_set()}: {pixels / whole:.2f} Mpx per core-second with error band, {whole / raw:.2f} times the "
        f"convolutions of the pixels asked for; x8 {pixels / 4 / ensemble:.2f} Mpx per core-second"
    )
    assert whole < 2 * raw


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
