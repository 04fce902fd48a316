"""Speed of networks: whole resolvers, the network alone, and its bare convolutions, by batch and precision."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from orograph.pipeline.bare_earth.remove import bare_earth
from orograph.pipeline.core.precision import Precision, supported_precisions
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.inference import BLOCK_PX, NetResolver
from orograph.pipeline.superres.network import Condition
from tests.bench.gpu.context import Context, terrain

FACTOR = 3


def measure(context: Context) -> None:
    """Record Gpx/s (output pixels), ratios to the bare convolutions, memory and the best batch."""
    batches = (1,) if context.small else (1, 2, 4, 8, 16, 32)
    for name in ("superres-xs",) if context.small else ("superres-s", "superres-xs"):
        for precision in ("fp32",) if context.small else ("fp32", "tf32", "bf16"):
            rows = []
            for batch in batches:
                if context.left_s < 0:
                    break
                rows.append(_network(context, name, precision, batch))
                context.record(f"{name} {precision}", rows)
    for label, options in _variants(context):
        if context.left_s < 0:
            return
        context.record(f"resolver {label}", _resolver(context, **options))
    for precision in supported_precisions(context.device)[: 1 if context.small else None]:
        context.record(f"bare-earth-2m {precision}", _bare_earth(context, precision))


def _variants(context: Context) -> list[tuple[str, dict[str, Any]]]:
    if context.small:
        return [("superres-xs", {"name": "superres-xs"})]
    alone = [(f"superres-s batch {b}", {"name": "superres-s", "batch": b}) for b in (1, 8, 16)]
    together = {"name": "superres-s", "ensemble": True, "batch": 8}
    others = [
        ("superres-xs batch 8", {"name": "superres-xs", "batch": 8}),
        ("superres-s tf32 batch 8", {"name": "superres-s", "precision": "tf32", "batch": 8}),
        ("ensemble batch 8", together),
        ("ensemble tf32 batch 8", {**together, "precision": "tf32"}),
    ]
    return [*alone, *others]


def _network(context: Context, name: str, precision: str, batch: int) -> dict[str, Any]:
    """One batch of blocks that is on the device already."""
    net = resolver(name, device=context.device, precision=precision)
    assert isinstance(net, NetResolver)
    folded = net._folded_for(Condition())
    side = BLOCK_PX + 2 * net.radius_px
    windows = torch.from_numpy(terrain(side, side)).to(context.device).expand(batch, 1, side, side).contiguous()
    pixels = batch * (BLOCK_PX * FACTOR) ** 2
    context.reset_memory()
    with torch.inference_mode():
        whole = context.median_s(lambda: folded(windows), most_s=1.0)
        bare = context.median_s(_convolutions(folded, windows), most_s=1.0)
    return {
        "batch": batch,
        "precision": net.precision,
        "gpx_s": pixels / whole["seconds"] / 1e9,
        "over_convolutions": whole["seconds"] / bare["seconds"],
        "peak_mib": context.peak_mib(),
        "spread": whole["spread"],
    }


def _convolutions(folded: Any, windows: torch.Tensor) -> Any:
    """The convolutions of a network alone, each on an input of its own that is made beforehand."""
    size, batch = windows.shape[-1], windows.shape[0]
    calls = [(folded.head, 1, 2), *((w, d, w.shape[1]) for a, b, dil in folded.body for w, d in ((a, dil), (b, 1)))]
    calls += [(tail, 1, tail.shape[1]) for tail in (folded.tail, folded.error) if tail is not None]
    made = []
    for weight, dilation, channels in calls:
        shape = (batch, channels, size, size)
        x = torch.randn(shape, device=windows.device).to(weight.dtype, memory_format=torch.channels_last)
        made.append((x, weight, dilation))
        if weight is not folded.tail:
            size -= dilation * (weight.shape[-1] - 1)
    return lambda: [F.conv2d(x, weight, dilation=dilation) for x, weight, dilation in made]


def _resolver(context: Context, name: str, **options: Any) -> dict[str, Any]:
    """From heights in memory to heights in memory, transfers and placing included."""
    up = resolver(name, device=context.device, **options)
    side = 120 if context.small else 8 * BLOCK_PX
    coarse = terrain(side, side)
    context.reset_memory()
    taken = context.median_s(lambda: up(coarse), least=2, most_s=4.0)
    return {"gpx_s": side * side * FACTOR**2 / taken["seconds"] / 1e9, "peak_mib": context.peak_mib(), **taken}


def _bare_earth(context: Context, precision: Precision) -> dict[str, Any]:
    side = 160 if context.small else 2048
    surface = terrain(side, side)
    context.reset_memory()
    taken = context.median_s(
        lambda: bare_earth(surface, 2.0, "bare-earth-2m", smooth=False, device=context.device, precision=precision),
        least=2,
    )
    return {"mpx_s": side * side / taken["seconds"] / 1e6, "peak_mib": context.peak_mib(), **taken}
