"""Speed of network S on one core, printed as JSON: `python -m tests.bench.superres_speed fp32`."""

from __future__ import annotations

import json
import sys
import time

import torch
import torch.nn.functional as F  # noqa: N812

from orograph.pipeline.core.processor import instruction_set
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.inference import BLOCK_PX
from orograph.pipeline.superres.network import Condition
from tests.support.superres_fixtures import hills


def seconds(run, least_s=3.0):
    """CPU seconds of one call, the mean of all that fit into the time."""
    run()
    start, times = time.process_time(), 0
    while time.process_time() - start < least_s:
        run()
        times += 1
    return (time.process_time() - start) / times


def speed(precision):
    """Megapixels of output per core-second, alone and as an ensemble, and the time over that of the bare convolutions."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        up = resolver("superres-s", precision=precision)
        heights = hills(2 * BLOCK_PX, 2 * BLOCK_PX)
        whole = seconds(lambda: up(heights))
        folded = up._folded[Condition()]
        x = torch.randn(1, up.preset.channels, BLOCK_PX, BLOCK_PX)
        x = x.to(folded.dtype, memory_format=torch.channels_last)

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
    return {
        "precision": up.precision,
        "instruction_set": instruction_set(),
        "mpx": pixels / whole,
        "ensemble_mpx": pixels / 4 / ensemble,
        "over_convolutions": whole / raw,
    }


if __name__ == "__main__":
    print(json.dumps(speed(sys.argv[1])))
