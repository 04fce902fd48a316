"""Validation on whole held-out sites: RMSE gain over GDAL's cubic by site and mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision
from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.errors import ModelError
from orograph.pipeline.learning.superres.dataset import GridLevel, Site
from orograph.pipeline.learning.superres.degrade import cropped, pool, thin
from orograph.pipeline.learning.superres.metrics import counted
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.edge_padding import with_context
from orograph.pipeline.superres.interpolants import Interpolant
from orograph.pipeline.superres.network import PRESETS, Condition, TerrainNet

_CHIPS = 12
"""Chips of a mosaic that are looked at; enough to steer by."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutSites:
    """One raster to reconstruct.

    Attributes:
        site: Name of the site.
        thinning: Whether it was decimated or averaged.
        coarse_m: With `reach` pixels of context on each side, relative to a whole-metre reference.
        fine_m: Measured heights, relative to the same.
        cubic_m: GDAL's cubic, relative to the same.
        mask: Fine pixels to evaluate.
    """

    site: str
    thinning: Thinning
    coarse_m: FloatArray
    fine_m: FloatArray
    cubic_m: FloatArray
    mask: BoolArray


class TrainingValidation:
    """Held-out rasters of every level with square pixels; call it with a network for its gains.

    Args:
        sites: Sites held out.
        factor: Factor to recover.
        reach_px: Context around the evaluated pixels, at least the networks' radius.
        precision: Precision of the networks' bodies.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        factor: int,
        reach_px: int = PRESETS["M"].radius_px,
        precision: Precision = DEFAULT_PRECISION,
    ) -> None:
        self.factor, self.reach_px, self.precision = factor, reach_px, precision
        self.rasters = [raster for site in sites for raster in _held_out(site, factor, reach_px)]
        if not self.rasters:
            raise ModelError("the held-out sites are too small to validate on")

    def __call__(self, net: nn.Module) -> dict[str, float]:
        """Gains in percent, named `gain_<site>_<mode>`, pooled over levels."""
        squares: dict[str, list[float]] = {}
        for raster in self.rasters:
            fine = self.predict(net, raster)
            total = squares.setdefault(f"gain_{raster.site}_{raster.thinning.value}", [0.0, 0.0])
            weight = 1.0 / max(float(np.square(raster.cubic_m - raster.fine_m)[raster.mask].mean()), 1e-9)
            total[0] += weight * float(np.square(fine - raster.fine_m)[raster.mask].sum())
            total[1] += weight * float(np.square(raster.cubic_m - raster.fine_m)[raster.mask].sum())
        return {name: 100.0 * (1.0 - (own / base) ** 0.5) for name, (own, base) in squares.items()}

    def predict(self, net: nn.Module, raster: HeldOutSites) -> FloatArray:
        """Upsample one raster by the network."""
        if not isinstance(net, TerrainNet):
            raise ModelError(f"{type(net).__name__} cannot be validated here")
        if net.preset.radius_px > self.reach_px:
            raise ModelError(
                f"the network sees {net.preset.radius_px} pixels, the rasters have {self.reach_px} around them"
            )
        with torch.inference_mode():
            device = net.head.device
            coarse = torch.from_numpy(raster.coarse_m)[None, None].to(device)
            fine = net(coarse, Condition(raster.thinning), precision=self.precision)[0, 0].cpu().numpy()
        rim = self.reach_px * self.factor
        return np.ascontiguousarray(fine[rim:-rim, rim:-rim])


def _held_out(site: Site, factor: int, reach_px: int) -> Iterator[HeldOutSites]:
    levels = [level for level in site.spec.levels if level.judged and level.rows == level.columns] or [GridLevel()]
    for heights, valid in list(zip(site.heights_m, site.valid, strict=True))[:_CHIPS]:
        native = np.where(valid, heights, np.float32(np.nan)).astype(np.float32)
        for level in levels:
            fine = cropped(pool(native, level.rows, level.columns, level.thinning, (0, 0)), factor)
            for mode in Thinning:
                if mode is Thinning.DECIMATED and factor % 2 == 0:
                    continue
                coarse = thin(fine, factor, mode)
                cubic, _ = Interpolant("gdal-cubic")(coarse, factor=factor)
                mask = counted(np.isfinite(fine) & np.isfinite(cubic))
                if mask.sum() < 900:
                    continue
                context, _ = with_context(coarse, reach_px)
                reference = np.rint(np.nanmean(coarse))
                yield HeldOutSites(
                    site.spec.name,
                    mode,
                    (context - reference).astype(np.float32),
                    np.nan_to_num(fine - reference).astype(np.float32),
                    np.nan_to_num(cubic - reference).astype(np.float32),
                    mask,
                )
