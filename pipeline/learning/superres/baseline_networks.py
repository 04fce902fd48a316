"""Baseline networks in their published shapes, for comparison with ours.

SRCNN (Dong et al. 2014, 9-1-5), VDSR (Kim et al. 2016, twenty 3 x 3 layers of 64), OpenDEM's VDSR (eleven 9 x 9 layers
of 32) work on the fine grid; EDSR (Lim et al. 2017, baseline: sixteen blocks of 64 without normalisation layers) works
on the coarse grid with a pixel shuffle. All have biases and one scale, so heights are relative to the mean of their
patch of 32 x 32 coarse pixels, in metres, in training and in inference.

All of them correct GDAL's cubic, begin with a correction of zero, and start from He's initial weights, as VDSR does, so
that a small budget goes into detail and not into the identity. The published SRCNN and EDSR learn the image itself; on
heights they would need hours to reach cubic.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from safetensors.torch import load as load_bytes
from safetensors.torch import save_file
from torch import Tensor, nn

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, body_dtype, check_trainable
from orograph.pipeline.core.progress import report as report_progress
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError, ModelError
from orograph.pipeline.learning.superres.dataset import Sampler
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.edge_padding import context_px, mask_fine, with_context
from orograph.pipeline.superres.interpolants import Interpolant, interpolant_kernels

FORMAT: Final = "orograph-baseline-2"
WINDOW_PX: Final = 32
"""Coarse pixels along a patch, in training and in use."""
_MARGIN_PX: Final = 6
"""Coarse pixels at a window's rim that are not used: there the padding shows."""
_STEP_PX: Final = WINDOW_PX - 2 * _MARGIN_PX
_WARM_UP: Final = 0.05
"""Share of the budget in which the learning rate rises."""


class _Corrector(nn.Module):
    """GDAL's cubic plus a correction by convolution layers; the first layer runs in float32, the others in `dtype`.

    Heights span more than a half-precision mantissa, features do not.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.dtype = torch.float32
        self.register_buffer("cubic", torch.from_numpy(interpolant_kernels("gdal-cubic", factor, 2)).float()[:, None])

    def forward(self, coarse_m: Tensor) -> Tensor:
        """Coarse heights relative to their patch (batch, 1, rows, columns), metres, to fine ones."""
        kernels: Tensor = self.get_buffer("cubic")
        up = F.pixel_shuffle(F.conv2d(F.pad(coarse_m, (2,) * 4, mode="replicate"), kernels), self.factor)
        corrected: Tensor = up + self.correction(coarse_m, up)
        return corrected

    def correction(self, coarse: Tensor, up: Tensor) -> Tensor:
        """Return the correction to add to cubic, metres."""
        raise NotImplementedError

    def halved(self, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """`run` in the body's precision, the result in float32."""
        if self.dtype is torch.float32:
            return run(x)
        with torch.autocast("cpu", self.dtype):
            return run(x.to(memory_format=torch.channels_last)).float()

    def start(self) -> None:
        """He's initial weights without biases, and a correction of zero."""
        convolutions = [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]
        for layer in convolutions:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(convolutions[-1].weight)


class FineNet(_Corrector):
    """Plain convolutions on the fine grid.

    Args:
        sizes: Kernel size and outputs of each layer.
        factor: Fine pixels along a coarse pixel's side.
    """

    def __init__(self, sizes: list[tuple[int, int]], factor: int) -> None:
        super().__init__(factor)
        inputs = [1, *(outputs for _, outputs in sizes)]
        layers = [
            nn.Conv2d(n, outputs, size, padding=size // 2) for n, (size, outputs) in zip(inputs, sizes, strict=False)
        ]
        self.first = layers[0]
        self.rest = nn.Sequential(*(step for layer in layers[1:] for step in (nn.ReLU(), layer)))

    def correction(self, coarse: Tensor, up: Tensor) -> Tensor:
        """Return the correction to add to cubic, metres."""
        del coarse
        return self.halved(self.rest, self.first(up))


class Edsr(_Corrector):
    """EDSR's baseline on the coarse grid, here with a skip connection around the whole network."""

    def __init__(self, factor: int, channels: int = 64, blocks: int = 16) -> None:
        super().__init__(factor)
        self.head = nn.Conv2d(1, channels, 3, padding=1)
        self.body = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
            )
            for _ in range(blocks)
        )
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        self.tail = nn.Conv2d(channels, factor * factor, 3, padding=1)

    def start(self) -> None:
        """Initial weights as in `FineNet`; residual branches start small, because sixteen large ones would diverge."""
        super().start()
        for layer in (*(block[2] for block in self.body if isinstance(block, nn.Sequential)), self.last):
            layer.get_parameter("weight").data.mul_(0.1)

    def correction(self, coarse: Tensor, up: Tensor) -> Tensor:
        """Return the correction to add to cubic, metres."""
        del up
        return F.pixel_shuffle(self.halved(self._body, self.head(coarse)), self.factor)

    def _body(self, first: Tensor) -> Tensor:
        x = first
        for block in self.body:
            x = x + block(x)
        tail: Tensor = self.tail(first + self.last(x))
        return tail


BASELINES: Final[dict[str, Callable[[int], _Corrector]]] = {
    "srcnn": lambda factor: FineNet([(9, 64), (1, 32), (5, 1)], factor),
    "vdsr": lambda factor: FineNet([(3, 64)] * 19 + [(3, 1)], factor),
    "vdsr9": lambda factor: FineNet([(9, 32)] * 10 + [(9, 1)], factor),
    "edsr": Edsr,
}


_RATES: Final = {"srcnn": 1e-3, "vdsr": 1e-3, "vdsr9": 3e-4, "edsr": 5e-4}
"""Peak learning rates of Adam: above the published ones where those are meant for weeks."""


def train_baseline(
    kind: str,
    sampler: Sampler,
    processor_s: float,
    *,
    seed: int,
    path: Path,
    about: Mapping[str, Any] | None = None,
    precision: Precision = DEFAULT_PRECISION,
) -> tuple[str, int]:
    """Train a baseline for a number of processor-seconds.

    The file records the steps taken and the description of the data in `about`.

    Adam with warm-up and a cosine, gradients clipped as VDSR does, the authors' loss (EDSR absolute, the others squared
    errors), the body in `precision` like the networks of `orograph.pipeline.superres.bundled`.

    Returns:
        The weights' sha256 and the steps taken.

    Raises:
        ConfigError: No baseline has the name.
    """
    if kind not in BASELINES:
        raise ConfigError(f"no baseline is called {kind!r}", remedy=f"one of: {', '.join(BASELINES)}")
    check_trainable(precision)
    torch.manual_seed(seed)
    net = BASELINES[kind](sampler.factor)
    net.start()
    net.dtype = body_dtype(precision, "cpu")
    optimiser = torch.optim.Adam(net.parameters(), lr=_RATES[kind])
    started, step = time.process_time(), 0
    rim = 3 * sampler.factor
    inner = (..., slice(rim, -rim), slice(rim, -rim))
    while (spent := (time.process_time() - started) / processor_s) < 1.0:
        report_progress("training", spent, 1.0)
        for group in optimiser.param_groups:
            group["lr"] = _RATES[kind] * min(1.0, (spent + 0.001) / _WARM_UP, 0.5 + 0.5 * np.cos(np.pi * spent))
        batch = sampler.draw(step)
        counts = torch.from_numpy(batch.valid).float()[inner]
        error = (net(torch.from_numpy(batch.coarse)) - torch.from_numpy(batch.fine))[inner]
        loss = error.abs() if kind == "edsr" else error.square()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward((loss * counts).sum() / counts.sum().clamp_min(1.0))
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
    tensors = {k: v.contiguous() for k, v in net.state_dict().items()}
    said = {"kind": kind, "factor": sampler.factor, "steps": step, "processor_s": processor_s, "seed": seed}
    save_file(tensors, path, {"format": FORMAT, "about": json.dumps({**(about or {}), **said})})
    return hashlib.sha256(path.read_bytes()).hexdigest(), step


@dataclass(frozen=True, slots=True, eq=False)
class BaselineResolver:
    """A trained baseline as a resolver, patch by patch as in training, without thinning mode or error estimate."""

    name: str
    factor: int
    net: nn.Module

    @property
    def halo_px(self) -> int:
        """Context in coarse pixels."""
        return context_px(WINDOW_PX)

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
        del thinning, pixel_size_m
        if factor != self.factor:
            return Interpolant("gdal-cubic")(heights_m, factor=factor)
        # Every window with a valid pixel in its middle contains only measured or continued heights.
        context, valid = with_context(heights_m, WINDOW_PX)
        fine = np.full((heights_m.shape[0] * factor, heights_m.shape[1] * factor), np.nan, np.float32)
        cut = slice(_MARGIN_PX * factor, -_MARGIN_PX * factor)
        with torch.inference_mode():
            for row, column in _windows(heights_m.shape, origin_px):
                top, left = row + WINDOW_PX - _MARGIN_PX, column + WINDOW_PX - _MARGIN_PX
                patch = context[top : top + WINDOW_PX, left : left + WINDOW_PX]
                reference = np.rint(patch.mean())
                made = self.net(torch.from_numpy((patch - reference).astype(np.float32))[None, None])[0, 0, cut, cut]
                place = np.s_[
                    max(0, row) * factor : (row + _STEP_PX) * factor,
                    max(0, column) * factor : (column + _STEP_PX) * factor,
                ]
                rows, columns = fine[place].shape
                from_row, from_column = max(0, -row) * factor, max(0, -column) * factor
                fine[place] = made[
                    from_row : from_row + rows, from_column : from_column + columns
                ].numpy() + np.float32(reference)
        return mask_fine(fine, valid, factor), None


def _windows(shape: tuple[int, ...], origin_px: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Corners of the used parts of windows on the source's lattice, from the array's corner; may be negative."""
    for row in range(-(origin_px[0] % _STEP_PX), shape[0], _STEP_PX):
        for column in range(-(origin_px[1] % _STEP_PX), shape[1], _STEP_PX):
            yield row, column


def baseline_resolver(path: Path) -> BaselineResolver:
    """Read a trained baseline from its weights file.

    Raises:
        ModelError: The file does not contain a baseline.
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
