"""Made training sites and short plans, for tests of super-resolution training."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine

from orograph.pipeline.learning.superres.dataset import (
    GridLevel,
    Site,
    SiteSpec,
)
from orograph.pipeline.learning.superres.training_plan import TrainingPlan
from orograph.pipeline.sources.catalogue import Thinning
from tests.support.superres_fixtures import hills

LEVELS = (GridLevel(weight=2), GridLevel(rows=2, columns=2, thinning=Thinning.AVERAGED), GridLevel(rows=1, columns=2))


def spec(name="made", **changes):
    return SiteSpec(name=name, file=f"{name}.tif", licence="CC0", attribution="made", levels=LEVELS, **changes)


def site(seed=0, side=240, name="made"):
    heights = hills(side, side, seed)
    return Site(spec(name), (heights,), (np.ones(heights.shape, bool),))


def plan(**changes):
    return TrainingPlan(
        **({"preset": "XS", "steps": 6, "batch": 2, "patch_px": 16, "margin_px": 3, "warmup": 2} | changes)
    )


def write(path, heights, nodata=-9999.0):
    profile = {"driver": "GTiff", "height": heights.shape[0], "width": heights.shape[1], "count": 1}
    with rasterio.open(
        path, "w", dtype="float32", crs="EPSG:3035", transform=Affine(5, 0, 4e6, 0, -5, 3e6), nodata=nodata, **profile
    ) as dataset:
        dataset.write(heights, 1)
