"""What the machine has: card, driver, torch, cores, and whether every package the runs need can be imported."""

from __future__ import annotations

import importlib
import os
import platform

import numpy as np
import torch

from tests.bench.gpu.context import Context

PACKAGES = ("numba", "scipy", "rasterio", "pyproj", "odc.geo", "pydantic", "ray", "pynvml", "pytest", "pyarrow")


def measure(context: Context) -> None:
    """Record the machine, and two ceilings of the card: copies and matrix products."""
    context.record("python", platform.python_version())
    context.record("cores", len(os.sched_getaffinity(0)))
    context.record("torch", {"version": torch.__version__, "cuda": torch.version.cuda, "numpy": np.__version__})
    packages = {}
    for name in PACKAGES:
        try:
            module = importlib.import_module(name)
            packages[name] = str(getattr(module, "__version__", "there"))
        except Exception as error:  # noqa: BLE001 - a broken package is a finding, not an end
            packages[name] = f"MISSING: {type(error).__name__}: {error}"
    context.record("packages", packages)
    if context.device.startswith("cuda"):
        about = torch.cuda.get_device_properties(0)
        context.record("card", {"name": about.name, "memory_gib": about.total_memory / 2**30})
    side, size = (256, 1 << 20) if context.small else (8192, 1 << 30)
    source = torch.rand(size // 4, device=context.device)
    target = torch.empty_like(source)
    copied = context.median_s(lambda: target.copy_(source))
    context.record("copy_gb_s", 2 * size / copied["seconds"] / 1e9)
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(side, side, device=context.device).to(dtype) for _ in range(2))
        product = context.median_s(lambda a=a, b=b: a @ b)
        context.record(f"matrix_tflop_s_{str(dtype).removeprefix('torch.')}", 2 * side**3 / product["seconds"] / 1e12)
