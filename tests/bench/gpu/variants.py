"""Ways to run the same network: memory format, TF32, half precision, a CUDA graph, `torch.compile`; speed, and heights against float32.

The product takes one of these only after a card has shown that it pays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orograph.pipeline.core.precision import supported_precisions
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.folded_network import FoldedNet
from orograph.pipeline.superres.inference import BLOCK_PX, NetResolver
from orograph.pipeline.superres.network import Condition
from tests.bench.gpu.context import Context, terrain

FACTOR = 3
BATCHES = (1, 8)
Run = Callable[[Tensor], Tensor]


def measure(context: Context) -> None:
    """Record Gpx/s of each variant, and its largest and rms difference to float32, channels-last, of the same batch."""
    name = "superres-xs" if context.small else "superres-s"
    for batch in BATCHES[:1] if context.small else BATCHES:
        windows = _windows(context, _net(context, name), batch)
        exact = _folded(context, name)(windows)[0]
        for label, begin in _variants(context, name):
            if context.left_s < 0:
                return
            context.record(f"{label}, batch {batch}", _measured(context, begin, windows, exact))


def _variants(context: Context, name: str) -> Iterator[tuple[str, Callable[[Tensor], Run]]]:
    """Labels, and what turns a batch into a function of batches of its shape."""
    yield "fp32, channels last", lambda _: _alone(_folded(context, name))
    yield "fp32, contiguous", lambda _: _alone(_contiguous(_folded(context, name)))
    for precision in supported_precisions(context.device)[1:]:
        yield precision, lambda _, chosen=precision: _alone(_folded(context, name, chosen))
    if context.device.startswith("cuda"):
        for precision in ("fp32", "tf32"):
            yield f"{precision}, CUDA graph", lambda x, chosen=precision: _captured(_folded(context, name, chosen), x)
    # The inductor needs a compiler; without one, or on other devices, the graph alone is traced.
    backend = "inductor" if context.device.startswith("cuda") else "aot_eager"
    for precision in supported_precisions(context.device):
        # TF32 is a switch of the process, which a compiled graph would set for head and base too.
        if precision in {"fp32", "bf16"} and not (context.small and precision == "bf16"):
            yield (
                f"{precision}, torch.compile ({backend})",
                lambda _, chosen=precision: _compiled(_folded(context, name, chosen), backend),
            )


def _measured(context: Context, begin: Callable[[Tensor], Run], windows: Tensor, exact: Tensor) -> dict[str, Any]:
    """Speed and differences of a variant; one that does not run is a finding, not an end."""
    pixels = windows.shape[0] * (BLOCK_PX * FACTOR) ** 2
    context.reset_memory()
    started = time.perf_counter()
    try:
        with torch.inference_mode():
            run = begin(windows)
            made = run(windows).clone()
            context.wait()
            ready_s = time.perf_counter() - started
            taken = context.median_s(lambda: run(windows), most_s=1.0)
    except Exception as error:  # noqa: BLE001 - a compiler may be missing
        return {"error": f"{type(error).__name__}: {error}"[:400]}
    difference = (made - exact).double().cpu().numpy()
    return {
        "gpx_s": pixels / taken["seconds"] / 1e9,
        "spread": taken["spread"],
        "first_run_s": ready_s,
        "peak_mib": context.peak_mib(),
        "rms_mm": 1e3 * float(np.sqrt(np.mean(difference**2))),
        "max_mm": 1e3 * float(np.abs(difference).max()),
    }


def _net(context: Context, name: str, precision: str = "fp32") -> NetResolver:
    net = resolver(name, device=context.device, precision=precision)
    assert isinstance(net, NetResolver)
    return net


def _folded(context: Context, name: str, precision: str = "fp32") -> FoldedNet:
    return _net(context, name, precision)._folded_for(Condition())


def _windows(context: Context, net: NetResolver, batch: int) -> Tensor:
    side = BLOCK_PX + 2 * net.radius_px
    planes = np.stack([terrain(side, side, seed) for seed in range(batch)])
    return torch.from_numpy(planes)[:, None].to(context.device)


def _alone(folded: FoldedNet) -> Run:
    return lambda windows: folded(windows)[0]


def _contiguous(folded: FoldedNet) -> FoldedNet:
    """The same network with features and kernels in rows, as torch stores tensors by default."""
    folded.head, folded.tail = folded.head.contiguous(), folded.tail.contiguous()
    folded.error = None if folded.error is None else folded.error.contiguous()
    folded.body = [(first.contiguous(), second.contiguous(), dilation) for first, second, dilation in folded.body]
    folded.layout = torch.contiguous_format
    # Fused kernels of the processor take channels last alone.
    folded.fused = False
    return folded


def _captured(folded: FoldedNet, windows: Tensor) -> Run:
    """One CUDA graph that reads the batch where it is; its replay leaves the result in the same memory."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            folded(windows)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = folded(windows)[0]

    def replay(_: Tensor) -> Tensor:
        graph.replay()
        return result

    return replay


def _compiled(folded: FoldedNet, backend: str) -> Run:
    torch.compiler.reset()
    # Without its device the network leaves the switch alone, which a graph cannot contain; it is off on CUDA anyway.
    folded.device = "none"
    return torch.compile(_alone(folded), backend=backend, dynamic=False)
