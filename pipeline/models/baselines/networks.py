"""The networks earlier attempts used, faithful in shape and normalisation, for tables beside ours.

SRCNN (Dong et al. 2014, 9-1-5), VDSR (Kim et al. 2016, twenty 3 x 3 layers of 64), OpenDEM's VDSR (eleven 9 x 9 layers
of 32) work on the fine grid and correct GDAL's cubic; EDSR (Lim et al. 2017, baseline: sixteen blocks of 64 without
normalisation layers) works on the coarse grid with a pixel shuffle. All have biases, so heights are normalised by a
fixed offset and range, as OpenDEM trained.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from safetensors.torch import load as load_bytes
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline.errors import ConfigError, ModelError
from pipeline.models.baselines.opendem import OFFSET_M, RANGE_M
from pipeline.models.interpolants import Interpolant
from pipeline.models.superres.base import interpolant_kernels
from pipeline.models.superres.dataset import Sampler
from pipeline.models.voids import context_px, mask_fine, with_context
from pipeline.raster import FloatArray
from pipeline.sources import Thinning

FORMAT: Final = "orograph-baseline-1"


def _convolutions(sizes: list[tuple[int, int]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = 1
    for k, (size, outputs) in enumerate(sizes):
        layers.append(nn.Conv2d(inputs, outputs, size, padding=size // 2))
        if k < len(sizes) - 1:
            layers.append(nn.ReLU())
        inputs = outputs
    return nn.Sequential(*layers)


class FineNet(nn.Module):
    """Plain convolutions on the fine grid that correct GDAL's cubic.

    Args:
        sizes: Kernel size and outputs of each layer.
        factor: Fine pixels along a coarse pixel's side.
    """

    def __init__(self, sizes: list[tuple[int, int]], factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.reach_px = -(-sum(size // 2 for size, _ in sizes) // factor) + 2
        self.layers = _convolutions(sizes)
        cubic = interpolant_kernels("gdal-cubic", factor, 2)
        self.register_buffer("cubic", torch.from_numpy(cubic).float()[:, None])

    def forward(self, coarse: Tensor) -> Tensor:
        """Normalised coarse heights (batch, 1, rows, columns) to fine ones."""
        kernels: Tensor = self.get_buffer("cubic")
        up = F.pixel_shuffle(F.conv2d(F.pad(coarse, (2,) * 4, mode="replicate"), kernels), self.factor)
        corrected: Tensor = up + self.layers(up)
        return corrected


class Edsr(nn.Module):
    """EDSR's baseline on the coarse grid; as published it learns the heights themselves, not a correction."""

    def __init__(self, factor: int, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.factor = factor
        self.reach_px = 2 * blocks + 4
        self.head = nn.Conv2d(1, channels, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
            )
            for _ in range(blocks)
        )
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        self.tail = nn.Conv2d(channels, factor * factor, 3, padding=1)

    def forward(self, coarse: Tensor) -> Tensor:
        """Normalised coarse heights (batch, 1, rows, columns) to fine ones."""
        first = self.head(coarse)
        x = first
        for block in self.body:
            x = x + block(x)
        return F.pixel_shuffle(self.tail(first + self.last(x)), self.factor)


BASELINES: Final[dict[str, Callable[[int], nn.Module]]] = {
    "srcnn": lambda factor: FineNet([(9, 64), (1, 32), (5, 1)], factor),
    "vdsr": lambda factor: FineNet([(3, 64)] * 19 + [(3, 1)], factor),
    "vdsr9": lambda factor: FineNet([(9, 32)] * 10 + [(9, 1)], factor),
    "edsr": Edsr,
}


def train_baseline(kind: str, sampler: Sampler, processor_s: float, seed: int, path: Path) -> tuple[str, int]:
    """Train a baseline for so many processor-seconds with Adam at 1e-4 and squared error, as its authors did.

    Returns:
        The weights' sha256 and the steps taken.

    Raises:
        ConfigError: No baseline has the name.
    """
    if kind not in BASELINES:
        raise ConfigError(f"no baseline is called {kind!r}", remedy=f"one of: {', '.join(BASELINES)}")
    torch.manual_seed(seed)
    net = BASELINES[kind](sampler.factor)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
    rng = np.random.default_rng(seed)
    started, step = time.process_time(), 0
    while (spent := time.process_time() - started) < processor_s:
        for group in optimiser.param_groups:
            group["lr"] = 1e-4 * max(0.02, 1.0 - spent / processor_s)
        batch = sampler.draw(step)
        # Patches come relative to their own mean; these networks know heights above sea level.
        level = torch.from_numpy(rng.uniform(300.0, 2500.0, (len(batch.coarse), 1, 1, 1)).astype(np.float32))
        coarse = (torch.from_numpy(batch.coarse) + level - OFFSET_M) / RANGE_M
        fine = (torch.from_numpy(batch.fine) + level - OFFSET_M) / RANGE_M
        rim = 3 * sampler.factor
        error = (net(coarse) - fine)[..., rim:-rim, rim:-rim] * torch.from_numpy(batch.valid)[..., rim:-rim, rim:-rim]
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(error.square().mean() * RANGE_M)
        optimiser.step()
        step += 1
    tensors = {k: v.contiguous() for k, v in net.state_dict().items()}
    about = {"kind": kind, "factor": sampler.factor, "steps": step, "processor_s": processor_s, "seed": seed}
    save_file(tensors, path, {"format": FORMAT, "about": json.dumps(about)})
    return hashlib.sha256(path.read_bytes()).hexdigest(), step


@dataclass(frozen=True, slots=True, eq=False)
class BaselineResolver:
    """A trained baseline as a resolver; it knows no thinning mode and states no error."""

    name: str
    factor: int
    net: nn.Module

    @property
    def halo_px(self) -> int:
        """Context in coarse pixels."""
        return context_px(self._reach_px)

    @property
    def _reach_px(self) -> int:
        return int(getattr(self.net, "reach_px"))  # noqa: B009 - modules hide plain attributes from types

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = 3,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, None]:
        """Super-resolve; see `Resolver`. Another factor falls back to GDAL's cubic."""
        del thinning, pixel_size_m, origin_px
        if factor != self.factor:
            return Interpolant("gdal-cubic")(heights_m, factor=factor)
        reach = self._reach_px
        context, valid = with_context(heights_m, reach)
        with torch.inference_mode():
            x = torch.from_numpy(((context - OFFSET_M) / RANGE_M).astype(np.float32))[None, None]
            fine = self.net(x)[0, 0].numpy() * RANGE_M + OFFSET_M
        rim = reach * factor
        return mask_fine(np.ascontiguousarray(fine[rim:-rim, rim:-rim], dtype=np.float32), valid, factor), None


def baseline_resolver(path: Path) -> BaselineResolver:
    """A trained baseline from its weights file.

    Raises:
        ModelError: The file holds no baseline.
    """
    content = path.read_bytes()
    meta = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
    if meta.get("format") != FORMAT:
        raise ModelError(f"{path} is of format {meta.get('format')!r}, expected {FORMAT}")
    about = json.loads(meta["about"])
    net = BASELINES[about["kind"]](about["factor"])
    net.load_state_dict(load_bytes(content))
    net.requires_grad_(False)
    return BaselineResolver(about["kind"], about["factor"], net)
