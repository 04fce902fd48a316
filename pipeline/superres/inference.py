"""A trained network as a resolver; runs on a global lattice of fixed blocks, so that any tiling gives the same bits."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, checked_precision, used_precision
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.core.torch_device import torch_device
from orograph.pipeline.core.weights_uri import Read
from orograph.pipeline.errors import ConfigError, ModelError, OutOfMemory
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.device_batches import DeviceBatches, Started
from orograph.pipeline.superres.edge_padding import context_px, mask_fine, with_context
from orograph.pipeline.superres.error_head import ErrorModel
from orograph.pipeline.superres.folded_network import FoldedNet
from orograph.pipeline.superres.interpolants import Interpolant
from orograph.pipeline.superres.network import Condition, Preset, TerrainNet
from orograph.pipeline.superres.significance_gate import GATE_REACH_PX, Gate
from orograph.pipeline.superres.symmetry import is_symmetric
from orograph.pipeline.superres.weights import Weights, load_weights

BLOCK_PX: Final = 240
"""Coarse pixels along a lattice block: large against the halo, small enough for a processor's cache."""

_LOG = logging.getLogger(__name__)
_ASPECT_STEP: Final = 0.1
_ASPECT_LIMIT: Final = math.log(2.0)


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """Options for running a network.

    Attributes:
        ensemble: Mean over the square's eight symmetries, at eight times the work; a symmetric network gives it in one
            pass.
        precision: Precision of the body; the base, the head and the output are float32 always. Half precision runs in
            float32 on devices that do not convolve in it.
        gate: Keep GDAL's cubic in blocks where the gain is not significant and shorten corrections elsewhere: fewer
            blocks worse than cubic, for about a point of gain.
        noise_m: Noise of the source, metres; above zero the samples are not reproduced exactly.
        device: Torch device; CUDA runs deterministic algorithms.
        batch: Number of blocks per batch; halved when a device runs out of memory.
    """

    ensemble: bool = False
    precision: Precision = DEFAULT_PRECISION
    gate: bool = False
    noise_m: float = 0.0
    device: str = "cpu"
    batch: int = 1

    def __post_init__(self) -> None:
        checked_precision(self.precision)
        if self.noise_m < 0.0 or self.batch < 1:
            raise ConfigError(f"noise {self.noise_m} m, batch {self.batch}")


class NetResolver:
    """A trained network as a resolver; see `orograph.pipeline.superres.resolvers.Resolver`.

    Args:
        name: Name of the resolver.
        weights: Trained tensors.
        options: Inference options.

    Raises:
        ConfigError: The device is not available.
    """

    def __init__(self, name: str, weights: Weights, options: InferenceOptions) -> None:
        self._name, self.weights, self.options = name, weights, options
        self.factor = int(weights.plan["factor"])
        self.preset = Preset(weights.plan["network"]["channels"], tuple(weights.plan["network"]["dilations"]))
        own = {k: v for k, v in weights.tensors.items() if not k.startswith(("error.", "gate."))}
        self._net = TerrainNet(self.preset, self.factor, own["bases"].clone())
        self._net.load_state_dict(own, strict=True)
        self._net.requires_grad_(False)
        self._turns = options.ensemble and not is_symmetric(self._net)
        self._errors = ErrorModel.from_tensors(weights.tensors)
        self._gate = Gate.from_tensors(weights.tensors) if options.gate else None
        self._folded: dict[Condition, FoldedNet] = {}
        self._batch = options.batch
        torch_device(options.device)
        self._batches = DeviceBatches(options.device)
        if self.precision != options.precision:
            _LOG.warning(
                "%s does not convolve in %s: %s runs in %s", options.device, options.precision, name, self.precision
            )

    @property
    def name(self) -> str:
        """Name in tables and manifests."""
        return self._name

    @property
    def precision(self) -> Precision:
        """Precision the body runs in on this device."""
        return used_precision(self.options.precision, self.options.device)

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights."""
        return self.weights.sha256

    @property
    def has_gate(self) -> bool:
        """Whether the weights contain an active significance gate."""
        gate = Gate.from_tensors(self.weights.tensors)
        return gate is not None and not (max(gate.cubic_below) <= 0.0 and min(gate.share) >= 1.0)

    @property
    def radius_px(self) -> int:
        """Receptive radius in coarse pixels."""
        return self.preset.radius_px

    @property
    def halo_px(self) -> int:
        """Context in coarse pixels: receptive field, extrapolation into voids, and the gate's neighbourhood if on."""
        return context_px(self.radius_px) + (0 if self._gate is None else GATE_REACH_PX)

    def wide_ratio(self, thinning: Thinning) -> float:
        """Half-width of the 95 % band over that of the 68 % band."""
        return 1.96 if self._errors is None else self._errors.wide_ratio(thinning, self.options.ensemble)

    def __call__(
        self,
        heights_m: FloatArray,
        *,
        factor: int = 3,
        thinning: Thinning = Thinning.DECIMATED,
        pixel_size_m: tuple[float, float] = (30.0, 30.0),
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, FloatArray | None]:
        """Super-resolve; see `Resolver`. The standard error is the half-width of the 68 % band.

        A factor the weights were not trained for falls back to Keys' interpolant, without error estimate, and logs it.

        Raises:
            ModelError: The network gave NaN or infinity.
            OutOfMemory: A single block does not fit the device's memory.
        """
        if factor != self.factor:
            _LOG.warning("%s contains weights for x%d; x%d is interpolated with keys6", self.name, self.factor, factor)
            return Interpolant("keys6")(heights_m, factor=factor, thinning=thinning)
        condition = self._condition(thinning, pixel_size_m)
        context, valid = with_context(heights_m, self.radius_px)
        padded = context.astype(np.float32)
        fine = np.full((heights_m.shape[0] * factor, heights_m.shape[1] * factor), np.nan, np.float32)
        sigma = np.full_like(fine, np.nan) if self._errors is not None else None
        blocks = [b for b in self._blocks(heights_m.shape, origin_px) if valid[b.rows, b.columns].any()]
        flying: deque[tuple[list[_InferenceBlock], Started]] = deque()
        while blocks or flying:
            if blocks and len(flying) < self._batches.in_flight:
                taken = blocks[: self._batch]
                started = self._tried(taken, padded, condition, alone=not flying)
                if started is not None:
                    flying.append((taken, started))
                    blocks = blocks[len(taken) :]
                    continue
                if not flying:
                    self._halve()
                    continue
            taken, started = flying.popleft()
            self._place(taken, started.wait(), condition, fine, sigma)
        if self._gate is not None and sigma is not None:
            cubic, _ = Interpolant("gdal-cubic")(heights_m, factor=factor)
            fine, sigma = self._gate(fine, cubic, sigma, factor, thinning, origin_px)
        mask_fine(fine, valid, factor)
        return fine, None if sigma is None else mask_fine(sigma, valid, factor)

    def _condition(self, thinning: Thinning, pixel_size_m: tuple[float, float]) -> Condition:
        """The condition, its aspect rounded so that neighbouring tiles agree on it."""
        aspect = math.log(pixel_size_m[1] / pixel_size_m[0])
        aspect = min(_ASPECT_LIMIT, max(-_ASPECT_LIMIT, round(aspect / _ASPECT_STEP) * _ASPECT_STEP))
        return Condition(thinning, aspect, consistent=self.options.noise_m == 0.0)

    def _folded_for(self, condition: Condition) -> FoldedNet:
        found = self._folded.get(condition)
        if found is None:
            error = None if self._errors is None else self._errors.kernels(condition)
            found = FoldedNet(
                self._net, condition, error, self.options.precision, self.options.device, self.options.noise_m
            )
            self._folded[condition] = found
        return found

    def _blocks(self, shape: tuple[int, ...], origin_px: tuple[int, int]) -> Iterator[_InferenceBlock]:
        for i in range(origin_px[0] // BLOCK_PX, -(-(origin_px[0] + shape[0]) // BLOCK_PX)):
            for j in range(origin_px[1] // BLOCK_PX, -(-(origin_px[1] + shape[1]) // BLOCK_PX)):
                row, column = i * BLOCK_PX - origin_px[0], j * BLOCK_PX - origin_px[1]
                yield _InferenceBlock(
                    row,
                    column,
                    slice(max(0, row), min(shape[0], row + BLOCK_PX)),
                    slice(max(0, column), min(shape[1], column + BLOCK_PX)),
                )

    def _window(self, block: _InferenceBlock, padded: FloatArray) -> FloatArray:
        """A block with its halo, always of one shape; padding beyond the array is flat and never affects a pixel."""
        side = BLOCK_PX + 2 * self.radius_px
        rows = slice(max(0, block.row), min(padded.shape[0], block.row + side))
        columns = slice(max(0, block.column), min(padded.shape[1], block.column + side))
        window = np.zeros((side, side), np.float32)
        window[
            rows.start - block.row : rows.stop - block.row, columns.start - block.column : columns.stop - block.column
        ] = padded[rows, columns]
        return window

    def _tried(
        self, blocks: list[_InferenceBlock], padded: FloatArray, condition: Condition, *, alone: bool
    ) -> Started | None:
        """Start a batch of blocks; None where the device has no memory for so many.

        The caller waits for other batches or makes this one smaller: only there, with the error gone, is the memory
            free
        that its traceback held.
        """
        windows = np.zeros((self._batch, 1, *(BLOCK_PX + 2 * self.radius_px,) * 2), np.float32)
        for k, block in enumerate(blocks):
            windows[k, 0] = self._window(block, padded)
        try:
            return self._batches.start(windows, lambda there: self._packed(there, blocks, condition))
        except torch.OutOfMemoryError as error:
            if self._batch == 1 and alone:
                raise OutOfMemory(
                    f"{self.options.device} has no memory for one block of {self.name}",
                    remedy="let fewer workers share the device, or run on the processor",
                ) from error
        return None

    def _halve(self) -> None:
        """Reduce the batch permanently: a size that did not fit is not tried again."""
        self._batch //= 2
        torch.cuda.empty_cache()
        _LOG.warning("%s ran out of device memory; batch is now %d", self.name, self._batch)

    def _packed(self, windows: Tensor, blocks: list[_InferenceBlock], condition: Condition) -> Tensor:
        """Heights and error scales on the fine grid, then per block whether its part in the array is finite; flat."""
        r = self.radius_px
        with torch.inference_mode():
            corrections, scales = self._infer(windows, condition)
            fine = F.pixel_shuffle(corrections + windows[:, :, r:-r, r:-r], self.factor)
            if scales is not None:
                fine = torch.cat([fine, F.pixel_shuffle(scales, self.factor)], dim=1)
            finite = [torch.isfinite(fine[k, :, *block.inside(self.factor)]).all() for k, block in enumerate(blocks)]
            return torch.cat([fine.reshape(-1), torch.stack(finite).to(fine.dtype)])

    def _place(
        self,
        blocks: list[_InferenceBlock],
        packed: FloatArray,
        condition: Condition,
        fine: FloatArray,
        sigma: FloatArray | None,
    ) -> None:
        """Put the results of a batch in place; see `_packed`."""
        if not packed[-len(blocks) :].all():
            raise ModelError(
                f"{self.name} gave heights or errors that are not finite",
                remedy="check the source's values, or use keys6",
            )
        side = BLOCK_PX * self.factor
        planes = packed[: -len(blocks)].reshape(self._batch, -1, side, side)
        for k, block in enumerate(blocks):
            part, target = block.inside(self.factor), block.target(self.factor)
            fine[target] = planes[k, 0][part]
            if sigma is not None and self._errors is not None:
                sigma[target] = self._errors.half_width(planes[k, 1][part], condition.thinning, self.options.ensemble)

    def _infer(self, windows: Tensor, condition: Condition) -> tuple[Tensor, Tensor | None]:
        """Corrections and error scales by phase of the block; a mean over symmetries in the ensemble."""
        if not self._turns:
            return self._folded_for(condition)(windows)
        total, spread = None, None
        for turns in range(4):
            for mirrored in (False, True):
                turned = torch.rot90(windows, turns, (2, 3))
                turned = turned.flip(3) if mirrored else turned
                aspect = -condition.log_aspect if turns % 2 else condition.log_aspect
                own = Condition(condition.thinning, aspect, condition.consistent)
                raw, raw_scale = self._folded_for(own)(turned.contiguous())
                value = _turned_back(raw, self.factor, turns, mirrored)
                total = value if total is None else total + value
                if raw_scale is not None:
                    scale = _turned_back(raw_scale, self.factor, turns, mirrored)
                    spread = scale if spread is None else spread + scale
        if total is None:
            raise ModelError("the ensemble is empty")
        return total / 8.0, None if spread is None else spread / 8.0


@dataclass(frozen=True, slots=True)
class _InferenceBlock:
    """A lattice block: its corner relative to the array, and the part of it inside the array."""

    row: int
    column: int
    rows: slice
    columns: slice

    def inside(self, factor: int) -> tuple[slice, slice]:
        """The part inside the array, in fine pixels of the block."""
        return (
            slice((self.rows.start - self.row) * factor, (self.rows.stop - self.row) * factor),
            slice((self.columns.start - self.column) * factor, (self.columns.stop - self.column) * factor),
        )

    def target(self, factor: int) -> tuple[slice, slice]:
        """The same part in fine pixels of the array."""
        return (
            slice(self.rows.start * factor, self.rows.stop * factor),
            slice(self.columns.start * factor, self.columns.stop * factor),
        )


def _turned_back(phases: Tensor, factor: int, turns: int, mirrored: bool) -> Tensor:
    """Undo a symmetry on values by phase: on the fine grid, then back to phases."""
    fine = F.pixel_shuffle(phases, factor)
    fine = fine.flip(3) if mirrored else fine
    return F.pixel_unshuffle(torch.rot90(fine, -turns, (2, 3)), factor)


def net_resolver(name: str, sha256: str | None = None, fetch: Read | None = None, **options: object) -> NetResolver:
    """Return a resolver over weights, by bundled name, path or URL; see `load_weights` and `InferenceOptions`."""
    return NetResolver(name, load_weights(name, sha256, fetch), InferenceOptions(**options))  # type: ignore[arg-type]
