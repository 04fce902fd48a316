"""Runs batches of blocks on a torch device, with one transfer each way per batch, parallel to computation on CUDA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from orograph.pipeline.core.raster import FloatArray

_IN_FLIGHT_ON_CUDA: Final = 2
"""One batch computes while the processor places the last and prepares the next; more would only take memory."""


@dataclass(slots=True)
class Started:
    """A batch that was started.

    Attributes:
        result: Array in the processor's memory; its values are complete after `wait`.
        done: Event after the transfer back; None if the result is complete.
        kept: Memory that the transfers read until then.
    """

    result: Tensor
    done: torch.cuda.Event | None = None
    kept: tuple[Tensor, ...] = field(default=(), repr=False)

    def wait(self) -> FloatArray:
        """Wait for the result and return it, float32."""
        if self.done is not None:
            self.done.synchronize()  # type: ignore[no-untyped-call]
        self.kept = ()
        return self.result.numpy()


class DeviceBatches:
    """Starts batches on a device.

    On CUDA, transfers use pinned memory and streams of their own, so that a batch computes while the next one is copied
    in and the last one out. Other devices finish a batch before `start` returns.

    Args:
        device: Torch device by name.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        cuda = device.startswith("cuda")
        self.in_flight = _IN_FLIGHT_ON_CUDA if cuda else 1
        self._streams = (torch.cuda.Stream(device), torch.cuda.Stream(device)) if cuda else None  # type: ignore[no-untyped-call]

    def start(self, windows: FloatArray, compute: Callable[[Tensor], Tensor]) -> Started:
        """Copy windows to the device, compute there, and start the copy back.

        Args:
            windows: Input of `compute`, any shape.
            compute: Maps windows on the device to one float32 tensor there; it must not wait for the device.

        Raises:
            torch.OutOfMemoryError: The device has no memory for this batch.
        """
        here = torch.from_numpy(windows)
        if self._streams is None:
            return Started(compute(here.to(self.device)).cpu())
        inward, outward = self._streams
        computing = torch.cuda.current_stream(self.device)
        pinned = here.pin_memory()
        with torch.cuda.stream(inward):
            there = pinned.to(self.device, non_blocking=True)
        computing.wait_stream(inward)
        # Memory is reused only after the stream that reads it has passed, not the one that allocated it.
        there.record_stream(computing)
        made = compute(there)
        outward.wait_stream(computing)
        result = torch.empty(made.shape, dtype=made.dtype, pin_memory=True)
        with torch.cuda.stream(outward):
            result.copy_(made, non_blocking=True)
            made.record_stream(outward)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            done.record(outward)  # type: ignore[no-untyped-call]
        return Started(result, done, (pinned, made))
