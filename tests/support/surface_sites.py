"""Made sites with a DSM and a DTM, for tests of bare-earth training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from orograph.pipeline.bare_earth.height_classes import Bins
from orograph.pipeline.bare_earth.model import SurfaceModel
from orograph.pipeline.bare_earth.network import SurfaceSpec
from orograph.pipeline.learning.bare_earth.simulated_cover import CoverPool, Texture
from orograph.pipeline.learning.bare_earth.sites import SurfaceSite
from orograph.pipeline.learning.bare_earth.train import SurfaceTraining, train_surface

SPEC = SurfaceSpec((3, 5), (24.0, 36.0), 4, cover=True)


def pool(count: int = 3, textures: tuple[Texture, ...] = ()) -> CoverPool:
    return CoverPool(30.0, textures, size_px=40, count=count)


def plain_site() -> SurfaceSite:
    y, x = np.mgrid[0:60, 0:50].astype(np.float32)
    return SurfaceSite("plain", 30.0, 100 + x + 5 * np.sin(y / 9), pool=pool())


def quick(start: SurfaceModel | None = None, checkpoint: Path | None = None, steps: int = 2) -> SurfaceModel:
    training = SurfaceTraining(steps=steps, batch=1, crop_px=32, margin_px=4, precision="bf16")
    return train_surface(
        [plain_site()], SPEC, training, bins=Bins(0, 40, 8), name="quick", start=start, checkpoint=checkpoint
    )
