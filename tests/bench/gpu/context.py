"""Inputs of a section, its clock, and a record that survives a hard stop."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch


@dataclass(slots=True)
class Context:
    """What a section is given.

    Attributes:
        device: Torch device by name.
        seconds: Time the section should take.
        folder: Where its JSON and pictures go.
        rasters: Folder of real rasters; made terrain is used where a file is missing.
        small: Sizes for a test of the script itself.
    """

    device: str
    seconds: float
    folder: Path
    rasters: Path
    small: bool = False
    name: str = "section"
    found: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Seconds left of the section's share."""
        return self.seconds - (time.monotonic() - self.started)

    def record(self, key: str, value: Any) -> None:
        """Write a result at once, so that a section that is stopped keeps what it has."""
        self.found[key] = value
        part = self.folder / f"{self.name}.part"
        part.write_text(json.dumps(self.found, indent=1, default=float))
        part.replace(self.folder / f"{self.name}.json")

    def wait(self) -> None:
        """Wait for the device's queue."""
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()

    def median_s(self, work: Callable[[], object], *, least: int = 3, most_s: float = 3.0) -> dict[str, float]:
        """Median and spread of repeated runs after one warm-up, each waited for.

        Returns:
            `seconds`, `spread` (largest less smallest, over the median) and `runs`.
        """
        work()
        self.wait()
        taken: list[float] = []
        begun = time.perf_counter()
        least = 1 if self.small else least
        while len(taken) < least or (time.perf_counter() - begun < most_s and len(taken) < 50 and not self.small):
            start = time.perf_counter()
            work()
            self.wait()
            taken.append(time.perf_counter() - start)
        middle = statistics.median(taken)
        return {"seconds": middle, "spread": (max(taken) - min(taken)) / middle, "runs": len(taken)}

    def reset_memory(self) -> None:
        """Start a new peak of device memory."""
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats()

    def peak_mib(self) -> float | None:
        """Peak device memory since `reset_memory`; None where torch does not count."""
        return torch.cuda.max_memory_allocated() / 2**20 if self.device.startswith("cuda") else None


def terrain(rows: int, cols: int, seed: int = 1) -> np.ndarray:
    """Made terrain whose spectrum falls as a power of 4, float32 metres: for speed, never for accuracy."""
    rng = np.random.default_rng(seed)
    side = 1 << (max(rows, cols) - 1).bit_length()
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) / frequency**2
    heights = np.fft.irfft2(spectrum, (side, side))[:rows, :cols]
    return (500.0 + 200.0 * (heights - heights.mean()) / heights.std()).astype(np.float32)
